"""A web server as a process: the other side of a webhook, which answers as it is told and prints what it got.

python hook_server.py STATUS... [--tls CERT KEY] [--slow SECONDS]      one status a request, the last one for the rest
"""

import argparse
import asyncio
import json
import ssl

from aiohttp import web


async def serve(options: argparse.Namespace) -> None:
    statuses = list(options.status)

    async def post(request: web.Request) -> web.Response:
        body = await request.text()
        print(json.dumps({"body": body, "headers": {name.lower(): value for name, value in request.headers.items()}}))
        if options.slow:
            await asyncio.sleep(options.slow)
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        headers = {"Location": "/elsewhere"} if status == 302 else {"Retry-After": "1"} if status == 503 else {}
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", post)
    runner = web.AppRunner(app)
    await runner.setup()
    tls = None
    if options.tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*options.tls)
    await web.TCPSite(runner, "127.0.0.1", options.port, ssl_context=tls).start()
    print("port", runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("status", type=int, nargs="+")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slow", type=float, default=0)
    parser.add_argument("--tls", nargs=2)
    asyncio.run(serve(parser.parse_args()))
