#!/usr/bin/env bash
# usage: upload.sh FILE [ENDPOINT]
# Sends a file. Cut it off as you like (the network, the server, this script): run it again and it goes on where it was.
# Needs curl 7.84 or newer, for %header{}.
set -euo pipefail
file=${1:?usage: upload.sh FILE [ENDPOINT]}
endpoint=${2:-http://127.0.0.1:8080/files/}
memory=$file.upload-url # the upload's address, while it is unfinished
size=$(($(wc -c <"$file")))

# A connection on which nothing moves for a minute is given up.
tus() { curl -sS --connect-timeout 10 --speed-limit 1 --speed-time 60 -H "Tus-Resumable: 1.0.0" "$@"; }

# A file that was changed since is another file.
if [ ! "$memory" -nt "$file" ]; then
	location=$(tus --fail-with-body -X POST "$endpoint" -H "Upload-Length: $size" -w '%header{location}' \
		-H "Upload-Metadata: filename $(basename "$file" | tr -d '\n' | base64 | tr -d '\n')") || { echo "$location" >&2; exit 1; }
	# A Location without a host is on the endpoint's own.
	[[ $location == http* ]] || { [[ $endpoint =~ ^https?://[^/]+ ]] && location=${BASH_REMATCH[0]}$location; }
	echo "$location" >"$memory"
fi
url=$(<"$memory")

for wait in 0 1 2 4 8 15 30 end; do
	[ "$wait" != end ] || { echo "gave up for now; run it again to go on" >&2; exit 1; }
	sleep "$wait"
	read -r code offset < <(tus -I -o /dev/null -w '%{http_code} %header{upload-offset}\n' "$url")
	[[ $code =~ ^(404|410)$ ]] && break # expired, deleted or refused: the status says which
	[ "$code" = 200 ] || continue       # no connection, or 423: an earlier request still holds the upload
	[ "$offset" = "$size" ] && break

	echo "sending $((size - offset)) bytes from $offset" >&2
	# -C seeks in the file, and curl knows how long the rest is: no pipe, no chunked body.
	tus --fail-with-body -X PATCH "$url" -C "$offset" -T "$file" \
		-H "Upload-Offset: $offset" -H "Content-Type: application/offset+octet-stream" && break
	echo >&2
done

# All bytes are safe, or the server wants none of them. What it made of them, the state tells.
until status=$(curl -sS "$url/status") && [[ $status != *'"state":"received"'* ]]; do sleep 1; done
rm "$memory"
echo "$status"
[[ $status == *'"state":"ready"'* ]] && echo "ready: $url" >&2
