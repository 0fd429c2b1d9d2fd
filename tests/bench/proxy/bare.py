"""A bare aiohttp reverse proxy without any logic: what the framework itself costs.

`python -m tests.bench.proxy.bare PORT UPSTREAM`
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

_KEPT = ("content-type", "x-credits-cost")


async def main(port: int, upstream: str) -> None:
    """Serve until killed."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )

    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {"X-Dezgo-Key": "none", "Content-Type": request.headers["Content-Type"]}
        async with session.request(
            request.method, upstream + request.path, data=body, headers=headers, allow_redirects=False
        ) as reply:
            response = web.StreamResponse(status=reply.status)
            for name in _KEPT:
                response.headers[name] = reply.headers[name]
            response.content_length = reply.content_length
            await response.prepare(request)
            async for chunk in reply.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    runner = web.ServerRunner(web.Server(forward, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
