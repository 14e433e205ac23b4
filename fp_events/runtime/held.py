"""A message that stays with the broker while it is executed."""

from __future__ import annotations

from fp_events.domain.message import Delivery


class Held:
    """A delivery that is acknowledged when all its runs are settled."""

    __slots__ = ("delivery", "missing")

    def __init__(self, delivery: Delivery) -> None:
        #: The newest copy: one that came again over a new connection takes the place of the first.
        self.delivery = delivery
        #: Runs that are not settled.
        self.missing = 0
