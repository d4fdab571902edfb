"""Settings of an SMPP gateway."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from connectors.gateways.config import GatewayConfig
from connectors.secret import Secret

StateName = Literal["retry", "reroute", "permanent", "unknown"]


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
        Literal["same", "hex_then_decimal", "decimal_then_hex"],
        Field(description="How the ids in receipts are written, compared with those in submit responses."),
    ] = "same"
    errors: Annotated[
        dict[Annotated[str, Field(pattern=r"^(0[xX][0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,9})$")], StateName],
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
