"""When two clients share a client id, a broker lets each throw the other out, without end."""

from __future__ import annotations

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import BrokerRefused

#: Times in a row that another client may take our session before we stop.
LIMIT = 3
#: Seconds that a connection must have lived for its end to begin a new row.
CALM = 60.0


class Takeovers:
    """Counts connections that end early.

    MQTT 5 has a reason for a takeover (0x8E). MQTT 3.1.1 has none and Mosquitto before 2.1 sends none: there the end
    looks like that of any lost connection, so that it can be suspected and no more.
    """

    def __init__(self) -> None:
        self._sure = 0
        self._suspected = 0

    def lost(self, options: ConnectOptions, *, taken_over: bool, explained: bool, lived: float) -> str:
        """A connection that lived so many seconds is gone; a suspicion to be added to what is said of it.

        Raises BrokerRefused at the third takeover in a row.
        """
        if lived >= CALM:
            self._sure = self._suspected = 0
        self._sure = self._sure + 1 if taken_over else 0
        self._suspected = 0 if explained else self._suspected + 1
        if self._sure >= LIMIT:
            raise BrokerRefused(
                f"another client uses the client id '{options.client_id}' and took the session {self._sure} times",
                where=options.address,
                mend="stop it, or give one of the two another `mqtt.client_id`",
            )
        if self._suspected >= LIMIT:
            return f", {self._suspected} times in a row: does another client use the client id '{options.client_id}'?"
        return ""
