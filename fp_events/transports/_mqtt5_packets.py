"""The packets of the beginning, from our options."""

from __future__ import annotations

from collections.abc import Sequence

import mqtt5

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.message import Publication, Subscription

from ._limits import MAX_WINDOW, Limits
from ._reasons import NO_SHARED_SUBSCRIPTIONS, NO_WILDCARD_SUBSCRIPTIONS


def connect_packet(options: ConnectOptions) -> bytes:
    """CONNECT (MQTT 5, 3.1), for a session that is kept."""
    return mqtt5.ConnectPacket(
        options.client_id,
        username=options.username,
        password=None if options.password is None else options.password.encode(),
        clean_start=False,
        will=None if options.will is None else _will(options.will),
        keep_alive=options.keepalive,
        session_expiry_interval=options.session_expiry,
        receive_max=options.receive_maximum,
        max_packet_size=largest_packet(options),
    ).write()


def largest_packet(options: ConnectOptions) -> int:
    """Bytes of the largest packet that we take: one that fills what we hold."""
    return max(options.max_buffered_bytes, 64 * 1024)


def _will(will: Publication) -> mqtt5.Will:
    properties = will.properties
    return mqtt5.Will(
        will.topic,
        payload=will.payload,
        qos=mqtt5.QoS(will.qos),
        retain=will.retain,
        message_expiry_interval=properties.message_expiry,
        content_type=properties.content_type,
        response_topic=properties.response_topic,
        correlation_data=properties.correlation_data,
        user_properties=list(properties.user),
    )


def limits_of(packet: mqtt5.ConnAckPacket) -> Limits:
    """What a CONNACK allows."""
    return Limits(
        session_present=packet.session_present,
        receive_maximum=min(packet.receive_max, MAX_WINDOW),
        maximum_qos=int(packet.max_qos),
        retain=packet.retain_available,
        maximum_packet=packet.max_packet_size or 0,
        subscription_ids=packet.subscription_id_available,
        wildcards=packet.wildcard_subscription_available,
        shared=packet.shared_subscription_available,
    )


def subscribe_packet(packet_id: int, identifier: int, subscriptions: Sequence[Subscription]) -> bytes:
    """SUBSCRIBE (MQTT 5, 3.8); identifier 0: none."""
    filters = [
        mqtt5.TopicFilter(
            one.filter,
            max_qos=mqtt5.QoS(one.qos),
            no_local=one.no_local,
            retain_as_published=False,
            retain_handling=mqtt5.RetainHandling(one.retain_handling),
        )
        for one in subscriptions
    ]
    return mqtt5.SubscribePacket(packet_id, filters, subscription_id=identifier or None).write()


def unsubscribe_packet(packet_id: int, filters: Sequence[str]) -> bytes:
    """UNSUBSCRIBE (MQTT 5, 3.10)."""
    return mqtt5.UnsubscribePacket(packet_id, list(filters)).write()


def impossible(subscription: Subscription, limits: Limits) -> int:
    """The reason code of a subscription that the broker has ruled out, 0 for any other: asking would end it all."""
    shared = subscription.filter.startswith("$share/")
    if shared and not limits.shared:
        return NO_SHARED_SUBSCRIPTIONS
    if not limits.wildcards and not {"+", "#"}.isdisjoint(subscription.filter):
        return NO_WILDCARD_SUBSCRIPTIONS
    return 0
