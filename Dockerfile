# The build stage makes what the image holds; the image is that and nothing else: no shell, no libraries.
# `make image` puts a locally built binary in the build stage's place (--build-context build=DIR), so it needs no base image.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/sluice ./cmd/server && mkdir /out/data

FROM scratch
COPY --from=build /out/sluice /sluice
# A volume takes its first owner from the directory that it covers, and scratch has no mkdir.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# Inside, the private listener answers every address so that Prometheus reaches it from its container; publish 8080 alone.
ENV SLUICE_LISTEN=0.0.0.0:8080 SLUICE_PRIVATE_LISTEN=0.0.0.0:8081 SLUICE_DATA=/data
EXPOSE 8080 8081
VOLUME /data
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/sluice", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/sluice"]
