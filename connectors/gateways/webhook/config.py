"""Settings of a webhook."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from connectors.gateways.config import GatewayConfig
from connectors.secret import Secret

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _safe(url: str) -> str:
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not parts.hostname or (parts.scheme != "https" and not plain):
        raise ValueError(f"url={url!r} must begin with https://, or with http:// and this machine's name")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must hold no password: requests are signed")
    return url


class WebhookConfig(GatewayConfig):
    """A system that takes each message as a JSON object by HTTPS POST."""

    addresses_numbers: ClassVar = False
    example_name: ClassVar = "hook"
    example: ClassVar = {
        "kind": "webhook",
        "url": "https://fraud.example.com/opportune",
        "secret": {"env": "HOOK_SECRET"},
    }

    kind: Annotated[Literal["webhook"], Field(description="Messages as signed JSON requests.")]
    url: Annotated[
        str,
        AfterValidator(_safe),
        Field(description="Where to post, https://; plain http:// only on this machine. Redirects are not followed."),
    ]
    secret: Annotated[
        Secret, Field(description="Where the key of the signature lies; requests are signed with HMAC-SHA256.")
    ]
    ca_file: Annotated[Path | None, Field(description="Certificates to trust, in PEM, in place of the system's.")] = (
        None
    )
    in_flight_max: Annotated[int, Field(ge=1, le=1_000, description="Requests without an answer yet.")] = 16
    answer_ms_max: Annotated[
        int, Field(ge=100, le=300_000, description="Time for a request and its answer; then it is made again.")
    ] = 10_000
    pause_ms_min: Annotated[
        int, Field(ge=10, description="First pause after nobody answered; milliseconds, doubled each time.")
    ] = 1_000
    pause_ms_max: Annotated[int, Field(ge=10, description="Longest pause after nobody answered.")] = 60_000
