"""A gateway that posts each message to a system of the operator as signed JSON: alerts, and channels of its own.

The request is made again until the other side answers, with the same Idempotency-Key, so it must act once for a key.
What became of a message comes back by `POST /outcomes` of the engine's HTTP front.
"""

from connectors.gateways.webhook.client import WebhookGateway as Gateway
from connectors.gateways.webhook.config import WebhookConfig as Config

__all__ = ["Config", "Gateway"]
