"""Asking the broker for our subscriptions on a new connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from fp_events.domain.message import Subscription

from ._aiomqtt_properties import new_properties
from ._subscribing import CHUNK, chunks

#: paho answers a QoS 2 message before it hands it over, so that a crash would lose it.
MOST = 1


async def subscribe(
    client: aiomqtt.Client, subscriptions: Sequence[Subscription], *, mqtt5: bool, identifiers: bool
) -> dict[str, int]:
    """Subscribe to all; filter -> granted QoS, or reason code of a refusal. Raises aiomqtt.MqttError."""
    granted: dict[str, int] = {}
    for identifier, chunk in chunks(subscriptions, identifiers=mqtt5 and identifiers):
        if mqtt5:
            properties = None
            if identifier:
                properties = new_properties(PacketTypes.SUBSCRIBE)
                properties.SubscriptionIdentifier = identifier
            answers: Sequence[Any] = await client.subscribe(
                [(one.filter, _options(one)) for one in chunk], properties=properties
            )
        else:
            answers = await client.subscribe([(one.filter, min(one.qos, MOST)) for one in chunk])
        # A number or paho's object, by the protocol.
        for one, answer in zip(chunk, answers, strict=False):
            granted[one.filter] = int(getattr(answer, "value", answer))
    return granted


async def unsubscribe(client: aiomqtt.Client, filters: Sequence[str]) -> None:
    """Give up filters of an earlier start. Raises aiomqtt.MqttError."""
    for start in range(0, len(filters), CHUNK):
        await client.unsubscribe(list(filters[start : start + CHUNK]))


def _options(subscription: Subscription) -> SubscribeOptions:
    return SubscribeOptions(
        qos=min(subscription.qos, MOST),
        noLocal=subscription.no_local,
        retainHandling=subscription.retain_handling,
        retainAsPublished=False,
    )
