"""Carries bytes between two addresses: `python forward.py unix:/sockets/postgres tcp:127.0.0.1:5432`. Tests only.

With a socket on a shared folder between two of them, a container reaches a server that listens on
the host's loopback alone, over whatever networks the container is kept from.
"""

import asyncio
import os
import sys


async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while part := await source.read(65536):
            target.write(part)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()


async def main(listen: str, target: str) -> None:
    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        kind, _, where = target.partition(":")
        if kind == "unix":
            return await asyncio.open_unix_connection(where)
        host, port = where.rsplit(":", 1)
        return await asyncio.open_connection(host, int(port))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            others_reader, others_writer = await connect()
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, others_writer), carry(others_reader, writer))

    kind, _, where = listen.partition(":")
    if kind == "unix":
        server = await asyncio.start_unix_server(serve, where)
    else:
        host, port = where.rsplit(":", 1)
        server = await asyncio.start_server(serve, host, int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    os.umask(0)  # the user in a container has another id
    asyncio.run(main(*sys.argv[1:]))
