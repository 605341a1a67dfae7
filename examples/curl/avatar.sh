#!/usr/bin/env bash
# usage: avatar.sh PICTURE [ENDPOINT]
# Sends a small file with the request that creates its upload, and fetches what the server made of it.
set -euo pipefail
picture=${1:?usage: avatar.sh PICTURE [ENDPOINT]}
endpoint=${2:-http://127.0.0.1:8080/avatars/}
answer=$(mktemp)
trap 'rm "$answer"' EXIT

# One request is all it takes. The checksum may be left out; with it, not one wrong byte is kept.
read -r code location state < <(curl -sS -X POST "$endpoint" -H "Tus-Resumable: 1.0.0" \
	-H "Upload-Length: $(($(wc -c <"$picture")))" -H "Content-Type: application/offset+octet-stream" \
	-H "Upload-Checksum: sha1 $(openssl dgst -sha1 -binary "$picture" | base64)" \
	--data-binary "@$picture" -o "$answer" -w '%{http_code} %header{location} %header{sluice-state}\n')

# 201 with "ready", or an error with the reason in a sentence for people.
[ "$code" = 201 ] || { echo "refused with $code: $(<"$answer")" >&2; exit 1; }
echo "$state: $location"

[[ $location == http* ]] || { [[ $endpoint =~ ^https?://[^/]+ ]] && location=${BASH_REMATCH[0]}$location; }
# Rarely, when very many pictures come at once, the answer is "received": the work goes on without us.
until status=$(curl -sS "$location/status") && [[ $status != *'"state":"received"'* ]]; do sleep 1; done
[[ $status == *'"state":"ready"'* ]] || { echo "$status" >&2; exit 1; }
for side in 512 256 64; do
	curl -sSf "$location/$side" -o "${picture%.*}-$side" -w "%{filename_effective}: %{content_type}, %{size_download} bytes\n"
done
