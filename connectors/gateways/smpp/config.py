"""Settings of an SMPP gateway."""

import codecs
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from connectors.gateways.config import GatewayConfig
from connectors.gateways.smpp.coding import GSM, GSM_PACKED, OCTETS, UCS2
from connectors.gateways.smpp.receipts import IdRule
from connectors.secret import Secret

StateName = Literal["retry", "reroute", "permanent", "unknown"]
_NUMBER = r"^(0[xX][0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,9})$"


def _known(charset: str) -> str:
    """Return a charset that we or Python can read."""
    if charset not in {GSM, GSM_PACKED, UCS2, OCTETS}:
        try:
            b"".decode(codecs.lookup(charset).name)
        except LookupError:
            raise ValueError(
                f"charset={charset!r} must be gsm7, gsm7_packed, ucs2, octets or one of Python's"
            ) from None
    return charset


class SmppConfig(GatewayConfig):
    """An SMSC spoken to over SMPP 3.4."""

    example_name: ClassVar = "smsc"
    example: ClassVar = {
        "kind": "smpp",
        "host": "127.0.0.1",
        "system_id": "opportune",
        "password": {"env": "SMSC_PASSWORD"},
    }

    kind: Annotated[Literal["smpp"], Field(description="SMPP 3.4, bound as transceiver.")]
    host: Annotated[str, Field(description="Name or address of the SMSC.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Its port.")] = 2775
    system_id: Annotated[str, Field(max_length=15, description="Account at the SMSC.")]
    password: Annotated[Secret, Field(description="Where the account's password lies; it has at most 8 characters.")]
    system_type: Annotated[str, Field(max_length=12, description="System type, where the SMSC asks for one.")] = ""
    source_address: Annotated[str, Field(max_length=20, description="Sender of a message that names none.")] = ""
    source_ton: Annotated[int, Field(ge=0, le=6, description="Type of number of numeric senders.")] = 0
    source_npi: Annotated[int, Field(ge=0, le=18, description="Numbering plan of numeric senders.")] = 1
    destination_ton: Annotated[int, Field(ge=0, le=6, description="Type of number of subscribers.")] = 1
    destination_npi: Annotated[int, Field(ge=0, le=18, description="Numbering plan of subscribers.")] = 1
    links: Annotated[int, Field(ge=1, le=64, description="Connections to the SMSC.")] = 1
    window: Annotated[int, Field(ge=1, le=1000, description="Submits without an answer yet, per link.")] = 10
    parts_max: Annotated[int, Field(ge=1, le=255, description="Parts of the longest text that may be sent.")] = 6
    default_alphabet: Annotated[
        Literal["gsm7", "ascii"], Field(description="What the SMSC reads data_coding 0 as; other texts go as UCS-2.")
    ] = "gsm7"
    receipt_ids: Annotated[
        IdRule,
        Field(
            description="How the text of receipts writes ids, compared with submit responses; auto finds out, where "
            "the subscriber agrees."
        ),
    ] = "auto"
    receipt_ids_parameter: Annotated[IdRule, Field(description="The same for the parameter receipted_message_id.")] = (
        "auto"
    )
    charsets: Annotated[
        dict[Annotated[str, Field(pattern=_NUMBER)], Annotated[str, AfterValidator(_known)]],
        Field(
            description='How replies with a data_coding are read, where the SMSC differs: {"0" = "gbk"}. gsm7, '
            "gsm7_packed (eight septets in seven octets), ucs2, octets, or a charset of Python."
        ),
    ] = {}  # noqa: RUF012 - a pydantic default, copied for every model
    parts_wait_ms: Annotated[
        int, Field(ge=0, description="Wait for the missing parts of a long reply; then it is taken as it is.")
    ] = 60_000
    errors: Annotated[
        dict[Annotated[str, Field(pattern=_NUMBER)], StateName],
        Field(description='What statuses of this SMSC mean, where it differs: {"0x45" = "permanent"}.'),
    ] = {}  # noqa: RUF012 - a pydantic default, copied for every model
    response_ms_max: Annotated[
        int, Field(ge=100, description="Without an answer for so long, a submit's outcome is unknown; milliseconds.")
    ] = 10_000
    connect_ms_max: Annotated[int, Field(ge=100, description="Time for connecting and binding; milliseconds.")] = 10_000
    enquire_ms: Annotated[
        int, Field(ge=100, description="An idle link is asked so often whether it lives; milliseconds.")
    ] = 30_000
    reconnect_ms_min: Annotated[int, Field(ge=10, description="First wait before reconnecting; milliseconds.")] = 1_000
    reconnect_ms_max: Annotated[int, Field(ge=10, description="Longest wait before reconnecting.")] = 60_000
    throttle_ms_min: Annotated[int, Field(ge=10, description="First pause after 'throttled'; milliseconds.")] = 1_000
    throttle_ms_max: Annotated[int, Field(ge=10, description="Longest pause after 'throttled'; milliseconds.")] = 60_000
    deliveries_max: Annotated[
        int, Field(ge=1, description="Receipts and replies being stored at once; more are asked to come again.")
    ] = 2_000
    stop_ms_max: Annotated[int, Field(ge=0, description="Wait for answers when stopping; milliseconds.")] = 3_000
