"""Which subscriptions go into one packet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from fp_events.domain.message import Subscription

#: Filters in one packet.
CHUNK = 50


def chunks(subscriptions: Sequence[Subscription], *, identifiers: bool) -> list[tuple[int, list[Subscription]]]:
    """Identifier and subscriptions of each packet: the identifier belongs to it (MQTT 5, 3.8.2.1.2); 0: none."""
    if identifiers:
        groups = [(identifier, list(group)) for identifier, group in groupby(subscriptions, lambda one: one.identifier)]
    else:
        groups = [(0, list(subscriptions))]
    return [
        (identifier, group[start : start + CHUNK])
        for identifier, group in groups
        for start in range(0, len(group), CHUNK)
    ]
