"""What the daemon says of itself in its log."""

from __future__ import annotations

from typing import Any

from fp_events.domain.errors import BrokerUnavailable
from fp_events.domain.hooks import Hook
from fp_events.domain.message import ConnectionStatus, Publication

from .failures import line_of
from .options import Log
from .recovery import Recovered

#: MQTT's first reason code that says no (MQTT 5, 3.9.3).
_REFUSAL = 0x80


class Teller:
    """Turns what happens beside the messages into log lines."""

    def __init__(self, log: Log, *, fail_fast: bool) -> None:
        self._log = log
        self._fail_fast = fail_fast
        #: Publications that the broker refused.
        self.refused = 0

    def connection(self, status: ConnectionStatus) -> None:
        """The connection has come or gone. Raises BrokerUnavailable where the first one failed and must not."""
        if status.connected:
            self._log.info("connected", broker=status.address, session_present=status.session_present)
            for text, code in status.granted.items():
                if code >= _REFUSAL:
                    error = _subscription_refused(status.address, text, code)
                    self._log.warning("subscription_refused", filter=text, reason_code=code, error=error)
            return
        event = "disconnected" if status.connections else "broker_unavailable"
        self._log.warning(event, broker=status.address, error=status.last_error)
        if self._fail_fast and not status.connections:
            # The transport's sentence names the address and the mend itself.
            raise BrokerUnavailable(status.last_error or f"{status.address}: no answer")

    def publication_refused(self, publication: Publication, reason: str) -> None:
        """The broker said no to a publication."""
        self.refused += 1
        self._log.warning("publication_refused", topic=publication.topic, event_id=publication.event_id, reason=reason)

    def callback_failed(self, hook: Hook, record: Any, error: BaseException) -> None:
        """A user's function raised that is called after a commit."""
        self._log.warning(
            "callback_failed",
            pipeline=record.pipeline,
            run_id=record.run_id,
            hook=f"{hook.kind} {hook.text}",
            at=line_of(hook, error),
            error=f"{type(error).__name__}: {error}",
        )

    def recovered(self, found: Recovered) -> None:
        """What an earlier process left."""
        if found.interrupted or found.queued or found.waiting:
            self._log.info("recovered", interrupted=found.interrupted, queued=found.queued, waiting=found.waiting)
        if found.poison:
            self._log.warning("poison_runs_failed", runs=found.poison)
        for pipeline, count in found.homeless.items():
            self._log.warning("runs_without_pipeline", pipeline=pipeline, runs=count)


def _subscription_refused(address: str, text: str, code: int) -> str:
    """The broker's reason code (MQTT 5, 3.9.3) as a sentence; 0x80 is all that 3.1.1 knows."""
    known = {0x80: "no reason given", 0x87: "not authorized", 0x9E: "it has no shared subscriptions"}
    reason = known.get(code, f"reason code 0x{code:02X}")
    mend = "give this user the right to it, or correct the trigger's topic; no message of it will come until then"
    return f"{address}: the broker refuses the subscription to {text} ({reason}); {mend}"
