"""What supervisors are told: is the process alive, and is it ready for messages?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fp_events.domain.health import Check
from fp_events.domain.ports import Ledger, Transport

from .pulse import WriterPulse
from .status import StatusBoard

#: Seconds without an answer of the ledger's writer, and no reason known, after which the process is given up.
SILENCE = 30.0
#: MQTT's first reason code that says no (MQTT 5, 3.9.3).
_REFUSAL = 0x80


class DaemonHealth:
    """`Health` of a running daemon."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Sequence[tuple[Transport, Callable[[], Iterable[str]]]],
        board: StatusBoard,
        writer: WriterPulse,
    ) -> None:
        """`connections`: each with what names the filters that have to be subscribed there now."""
        self._ledger = ledger
        self._connections = connections
        self._board = board
        self._writer = writer

    def live(self) -> Sequence[Check]:
        """Whoever gets an answer has seen the loop run; a broker that is away is no reason to restart."""
        return [Check("loop", ""), Check("ledger_writer", self._silence())]

    def ready(self) -> Sequence[Check]:
        """Connected, subscribed, able to store, and not about to end."""
        draining = "the daemon is draining" if self._board.draining else ""
        ledger = self._ledger.problem or self._silence()
        return [*self._broker(), Check("ledger", ledger), Check("draining", draining)]

    def _broker(self) -> list[Check]:
        missing: list[str] = []
        for transport, filters in self._connections:
            status = transport.status()
            if not status.connected:
                problem = status.last_error or f"{status.address}: not connected yet"
                return [Check("connected", problem), Check("subscribed", "there is no connection")]
            missing += [text for text in filters() if status.granted.get(text, _REFUSAL) >= _REFUSAL]
        subscribed = f"the broker has not granted {', '.join(missing)}" if missing else ""
        return [Check("connected", ""), Check("subscribed", subscribed)]

    def _silence(self) -> str:
        # While the disk is full or the file is locked, the writer is alive, and says so.
        if self._ledger.problem or self._writer.silent_for < SILENCE:
            return ""
        return f"the ledger's writer has not answered for {self._writer.silent_for:.0f} s"
