"""The fields of a form that a page of the console sends: read once, within bounds of time and size."""

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from connectors.http_door import BODY_S

BODY_BYTES_MAX = 16_384
FIELDS_MAX = 20
TYPE = "application/x-www-form-urlencoded"


async def read_form(request: web.Request) -> Mapping[str, str]:
    """Return the fields by name; none where the body is no form, the first where a name comes twice.

    Raises:
        web.HTTPException: 400, 408 or 413 where the body cannot be read, is slow, or is too large.
    """
    if request.content_type != TYPE:
        return {}
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.content.iter_any():
                raw += piece
                if len(raw) > BODY_BYTES_MAX:
                    raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX, len(raw))
        pairs = parse_qsl(raw.decode(errors="replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except TimeoutError as fault:
        raise web.HTTPRequestTimeout(text=f"the body must be whole within {BODY_S:g} s") from fault
    except (web.RequestPayloadError, HttpProcessingError, ValueError) as fault:
        raise web.HTTPBadRequest(text="the body cannot be read") from fault
    return dict(reversed(pairs))
