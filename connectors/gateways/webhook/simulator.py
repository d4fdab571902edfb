"""The other side of a webhook, to demonstrate and test against: it checks signatures and prints what it takes.

    HOOK_SECRET=... python -m connectors.gateways.webhook.simulator 9000

It acts once for a key, and answers 401 to a signature that is wrong or old. Each new message is a line of JSON.
"""

import os
import sys
import time
from collections.abc import Callable

from aiohttp import web

from connectors.gateways.webhook import codec


class Simulator:
    """Takes messages.

    Args:
        secret: key of the signatures.
        taken: called with the body of each new message.
    """

    def __init__(self, secret: bytes, taken: Callable[[bytes], None]) -> None:
        self._secret = secret
        self._taken = taken
        self._known: set[str] = set()

    def app(self) -> web.Application:
        """Return the application, with one route for every path."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self._post)
        return app

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        signature = request.headers.get(codec.SIGNATURE, "")
        if not codec.is_signed(body, signature, self._secret, int(time.time())):
            return web.Response(status=401)
        key = request.headers.get(codec.KEY, "")
        if key not in self._known:
            self._known.add(key)
            self._taken(body)
        return web.Response(status=202)


def main() -> None:
    """Listen on the port of the command line."""

    def show(body: bytes) -> None:
        sys.stdout.write(body.decode() + "\n")
        sys.stdout.flush()

    simulator = Simulator(os.environ["HOOK_SECRET"].encode(), show)
    web.run_app(simulator.app(), host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
