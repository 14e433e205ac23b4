"""amqtt, a broker in Python inside this process: for development where Mosquitto cannot be installed."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .probe import LOOPBACK

if TYPE_CHECKING:
    from amqtt.broker import Broker


def amqtt_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("amqtt") is not None


async def start_amqtt(port: int) -> Broker:
    """Serve MQTT 3.1.1 on loopback until `shutdown`. It keeps nothing when this process ends."""
    from amqtt.broker import Broker

    # It tells of every packet.
    logging.getLogger("amqtt").setLevel(logging.WARNING)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    return broker
