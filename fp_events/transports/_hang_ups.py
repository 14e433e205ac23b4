"""What an MQTT 3.1.1 broker hangs up for: it cannot say how large a packet may be, nor that one was too large.

Such a publication would end each connection anew, and all that wait behind it would wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from fp_events.domain.message import Publication

from ._sender import CannotSend

#: Bytes of payload below which size is no reason to hang up; limits of brokers are far above.
LARGE = 64 * 1024
#: Connections in a row that the broker must have ended while the publication had no answer.
TIMES = 3


class HangUps:
    """Suspects the largest publication that was under way, over connections."""

    def __init__(self) -> None:
        self._suspect = ""
        self._times = 0

    def check(self, publication: Publication) -> None:
        """Raises CannotSend for the one that has ended connections."""
        if self._times >= TIMES and publication.event_id == self._suspect:
            size = len(publication.payload)
            raise CannotSend(
                f"packet too large, it seems: the broker closed the connection {self._times} times in a row "
                f"while it had these {size} bytes; it may name its limit under MQTT 5"
            )

    def hung_up(self, unanswered: Iterable[Publication]) -> None:
        """The broker has ended a connection."""
        largest = max(unanswered, key=lambda publication: len(publication.payload), default=None)
        if largest is None or len(largest.payload) < LARGE:
            self._suspect, self._times = "", 0
        elif largest.event_id == self._suspect:
            self._times += 1
        else:
            self._suspect, self._times = largest.event_id, 1
