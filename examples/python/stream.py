#!/usr/bin/python3
"""usage: stream.py FILE [ENDPOINT]

Sends a file, however large, as it is read from the disk: 64 KiB at a time through an asynchronous generator, so that no more
than that is ever held. Killed and run again, it goes on where it was.
"""

import asyncio
import base64
import resource
import sys
from pathlib import Path
from urllib.parse import urljoin

import aiofiles
import aiohttp

PIECE = 64 * 1024  # bytes read at once: what a socket takes at once, too
WAITS = [0.5, 1, 2, 4, 8, 15, 30]  # seconds between tries; begun anew whenever some bytes went through
TUS = {"Tus-Resumable": "1.0.0"}


class Passing(Exception):
    """Trouble that another try may not meet."""


async def pieces(path, offset, end):
    """The bytes of a file between two offsets."""
    async with aiofiles.open(path, "rb") as file:
        await file.seek(offset)
        while offset < end:
            piece = await file.read(min(PIECE, end - offset))
            if not piece:
                raise EOFError(f"{path} has become shorter")
            offset += len(piece)
            yield piece


async def create(session, endpoint, path, size):
    name = base64.b64encode(path.name.encode()).decode()
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": f"filename {name}"}
    async with session.post(endpoint, headers=headers) as answer:
        if answer.status >= 500:
            raise Passing(f"{answer.status} {await answer.text()}")
        if not answer.ok:
            raise SystemExit(f"refused: {answer.status} {await answer.text()}")
        return urljoin(endpoint, answer.headers["Location"])


async def ask(session, url):
    """How many bytes the server has, or None when it has, or wants, none."""
    async with session.head(url, headers=TUS) as answer:
        if answer.status in (404, 410):
            return None
        if answer.status != 200:
            raise Passing(str(answer.status))
        return int(answer.headers["Upload-Offset"])


async def send(session, url, path, offset, size):
    # With a Content-Length the body is not chunked: the server knows what is coming, and on Linux its kernel moves the bytes
    # straight from the socket into the file.
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Length": str(size - offset),
               "Content-Type": "application/offset+octet-stream"}
    async with session.patch(url, headers=headers, data=pieces(path, offset, size)) as answer:
        if not answer.ok:  # 409: another offset; 423: an earlier request still holds the upload; else a refusal
            raise Passing(f"{answer.status} {await answer.text()}")  # the next HEAD tells which


async def verdict(session, url):
    """The status once the server has judged."""
    while True:
        async with session.get(f"{url}/status") as answer:
            status = await answer.json(content_type=None)  # an error is application/problem+json
        if status.get("state") != "received":
            return status
        await asyncio.sleep(0.5)


def begun(memory, path):
    """Whether there is an address to go on with. A file that was changed since is another file."""
    return memory.exists() and memory.stat().st_mtime_ns > path.stat().st_mtime_ns


async def carry(session, endpoint, path, memory):
    """Makes the upload, or finds the one begun earlier, and goes on until there is a verdict. Returns address and status."""
    size, furthest, tries = path.stat().st_size, -1, 0
    while True:
        try:
            if not begun(memory, path):
                memory.write_text(await create(session, endpoint, path, size))
            url = memory.read_text()
            offset = await ask(session, url)
            if offset is None or offset == size:
                return url, await verdict(session, url)
            if offset > furthest:
                furthest, tries = offset, 0
            print(f"sending {size - offset} bytes from {offset}", file=sys.stderr)
            await send(session, url, path, offset, size)
        except (Passing, aiohttp.ClientError, asyncio.TimeoutError) as trouble:
            if tries == len(WAITS):
                raise SystemExit(f"gave up for now; run it again to go on: {trouble}")
            print(f"again in {WAITS[tries]} s: {trouble!r}", file=sys.stderr)
            await asyncio.sleep(WAITS[tries])
            tries += 1


async def main(file, endpoint="http://127.0.0.1:8080/files/"):
    path = Path(file)
    memory = Path(f"{file}.upload-url")  # the upload's address, while it is unfinished
    # No limit on the whole, which may take days, but on silence: longer than the server may take for its verdict.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        url, status = await carry(session, endpoint, path, memory)
    memory.unlink()

    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} KiB", file=sys.stderr)
    if status.get("state") != "ready":
        raise SystemExit(status.get("reason", {}).get("message") or f"the server does not have it: {status}")
    print(urljoin(url, status["content"]))


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
