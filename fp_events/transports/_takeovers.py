"""When two clients share a client id, a broker lets each throw the other out, without end."""

from __future__ import annotations

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import BrokerRefused

#: Times in a row that another client may take our session before we stop.
LIMIT = 3
#: Seconds that a connection must have lived for a takeover to begin a new row.
CALM = 60.0


class Takeovers:
    """Counts them."""

    def __init__(self) -> None:
        self._count = 0

    def lost(self, options: ConnectOptions, *, taken_over: bool, lived: float) -> None:
        """A connection that lived so many seconds is gone. Raises BrokerRefused at the third takeover in a row."""
        earlier = self._count if lived < CALM else 0
        self._count = earlier + 1 if taken_over else 0
        if self._count >= LIMIT:
            raise BrokerRefused(
                f"another client uses the client id '{options.client_id}' and took the session {self._count} times",
                where=options.address,
                mend="stop it, or give one of the two another `mqtt.client_id`",
            )
