"""Where a daemon dies on purpose, so that `python -m faults` can show what a death there costs.

``FP_EVENTS_FAILPOINT=committed:17`` kills the process with SIGKILL when it passes that step for the 17th time.
Parts are wrapped at the start, and only then: a daemon without the variable runs the same code as if this module
did not exist.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, cast

from .domain.errors import UsageError
from .domain.message import Confirmation, Confirmed, Delivery, Publication
from .domain.ports import Executor, Ledger, Transport
from .domain.records import Batch, Committed
from .domain.run import Attempt, AttemptResult, Released

VARIABLE: Final = "FP_EVENTS_FAILPOINT"
#: In the order in which a message passes them; docs/delivery.md numbers them from 1.
STEPS: Final = ("decoded", "committed", "acknowledged", "claimed", "returned", "finished", "published", "sent")


class Failpoint:
    """One step, and how often it may still be passed."""

    def __init__(self, step: str, passings: int) -> None:
        self.step = step
        self._left = passings

    def passed(self, step: str) -> None:
        """Count a passing; the last one is the end of the process."""
        if step == self.step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def ledger(self, ledger: Ledger) -> Ledger:
        """Steps: accepted messages, results, and sent marks are durable."""
        return cast("Ledger", _Ledger(ledger, self))

    def transport(self, transport: Transport) -> Transport:
        """Steps: messages are in memory, acknowledgements on the wire, results at the broker."""
        return cast("Transport", _Transport(transport, self))

    def executor(self, executor: Executor) -> Executor:
        """Steps: claims are durable and nothing runs yet, plans have returned."""
        return cast("Executor", _Executor(executor, self))


def failpoint(environ: Mapping[str, str]) -> Failpoint | None:
    """The one that the environment asks for. Raises UsageError where it asks for none that there is."""
    text = environ.get(VARIABLE, "")
    if not text:
        return None
    step, _, passings = text.partition(":")
    if step not in STEPS:
        near = get_close_matches(step, STEPS, n=1)
        mend = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(STEPS)}"
        raise UsageError(f"there is no step '{step}' to fail at", where=VARIABLE, mend=mend)
    if not passings.isdecimal() or int(passings) < 1:
        raise UsageError(f"'{text}' does not say which passing", where=VARIABLE, mend=f"write {step}:1, or a later one")
    return Failpoint(step, int(passings))


class _Wrapped:
    """Passes everything on but what a subclass defines."""

    def __init__(self, inner: Any, point: Failpoint) -> None:
        self._inner = inner
        self._point = point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Ledger(_Wrapped):
    async def commit(self, batch: Batch) -> Committed:
        committed: Committed = await self._inner.commit(batch)
        if batch.accepts:
            self._point.passed("committed")
        if batch.finishes:
            self._point.passed("finished")
        if batch.sent:
            self._point.passed("sent")
        return committed


class _Transport(_Wrapped):
    async def receive(self) -> Sequence[Delivery]:
        burst: Sequence[Delivery] = await self._inner.receive()
        self._point.passed("decoded")
        return burst

    def acknowledge(self, burst: Sequence[Delivery]) -> None:
        self._inner.acknowledge(burst)
        # A transport may write at its loop's next turn.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._point.passed, "acknowledged")

    async def publish(self, burst: Sequence[Publication]) -> Sequence[Confirmation]:
        answers: Sequence[Confirmation] = await self._inner.publish(burst)
        if any(answer.event_id and answer.result is Confirmed.SENT for answer in answers):
            self._point.passed("published")
        return answers


class _Executor(_Wrapped):
    def submit(self, burst: Sequence[Attempt]) -> None:
        self._point.passed("claimed")
        self._inner.submit(burst)

    async def results(self) -> Sequence[AttemptResult | Released]:
        found: Sequence[AttemptResult | Released] = await self._inner.results()
        if any(not isinstance(one, Released) for one in found):
            self._point.passed("returned")
        return found
