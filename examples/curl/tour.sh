#!/usr/bin/env bash
# usage: tour.sh FILE [ENDPOINT]
# Every request of the protocol once, with all of its answer, on a file of some megabytes. Leaves nothing behind.
set -euo pipefail
file=${1:?usage: tour.sh FILE [ENDPOINT]}
endpoint=${2:-http://127.0.0.1:8080/files/}
size=$(($(wc -c <"$file")))
piece=$(mktemp)
trap 'rm "$piece"' EXIT

step() { printf '\n== %s\n' "$*"; }
tus() { curl -sS -H "Tus-Resumable: 1.0.0" "$@"; }
patch() { tus -i -X PATCH "$url" -H "Content-Type: application/offset+octet-stream" -H "Upload-Offset: $offset" "$@"; }
offset() { tus -I "$url" | tr -d '\r' | awk 'tolower($1) == "upload-offset:" { print $2 }'; }
sha1() { openssl dgst -sha1 -binary "$1" | base64; }

step "what the endpoint can do"
tus -i -X OPTIONS "$endpoint"

step "create: the answer's Location is the upload's address"
answer=$(tus -i -X POST "$endpoint" -H "Upload-Length: $size" -H "Upload-Metadata: filename $(basename "$file" | tr -d '\n' | base64 | tr -d '\n')")
echo "$answer"
url=$(tr -d '\r' <<<"$answer" | awk 'tolower($1) == "location:" { print $2 }')
[[ $url == http* ]] || { [[ $endpoint =~ ^https?://[^/]+ ]] && url=${BASH_REMATCH[0]}$url; }

step "send, and be cut off after a second, half-way"
offset=0
patch -T "$file" --limit-rate $((size / 2)) --max-time 1 || echo "curl ended with $?"

step "ask how far it came"
tus -I "$url"
offset=$(offset)

step "send a piece from there with a checksum that is wrong: none of it is kept"
tail -c +$((offset + 1)) "$file" | head -c 1000000 >"$piece" || true # tail is told that nobody reads on
patch --data-binary "@$piece" -H "Upload-Checksum: sha1 $(sha1 /dev/null)"

step "the same piece with the right one"
patch --data-binary "@$piece" -H "Upload-Checksum: sha1 $(sha1 "$piece")"

step "send all the rest"
offset=$(offset)
patch -C "$offset" -T "$file"

step "the status, at any time"
until status=$(curl -sS "$url/status") && [[ $status != *'"state":"received"'* ]]; do sleep 1; done
echo "$status"

step "the content, once ready: a range, and all of it compared with the file"
curl -sS -D - -o /dev/null -r 0-99 "$url"
curl -sSf "$url" | cmp - "$file" && echo "the same $size bytes"

step "delete it"
tus -i -X DELETE "$url"
