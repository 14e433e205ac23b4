"""What a demonstration has seen so far."""

from __future__ import annotations

import json
from collections import deque
from time import monotonic
from typing import Any

import anyio

from fp_events.domain.message import Message

from .plant import Reading

#: Latencies that percentiles are taken of, and seconds over which rates are.
_LATENCIES = 1000
_RATE_WINDOW = 5.0
#: Sent readings whose result may still come.
_PENDING = 10_000

_FAILURES = frozenset({"failed", "timed_out", "rejected", "expired"})


class Figures:
    """Counts, rates and latencies, from what was sent and what came back."""

    def __init__(self, base_topic: str) -> None:
        self._events = f"{base_topic}/events/"
        self._sent_at: dict[tuple[str, str], float] = {}
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._moments: deque[tuple[float, int]] = deque()
        self._event = anyio.Event()
        self.sent = 0
        self.finished = 0
        self.failed = 0
        self.alerts: deque[dict[str, Any]] = deque(maxlen=6)
        self.alert_count = 0
        self.summaries: dict[str, dict[str, Any]] = {}
        self.health: dict[str, dict[str, Any]] = {}
        self.latest: dict[str, str] = {}

    def send(self, reading: Reading, *, live: bool) -> None:
        """A reading is about to be published; only live ones are timed."""
        self.sent += 1
        if reading.shown:
            self.latest[reading.source] = reading.shown
        if live:
            self._sent_at[reading.source, reading.measured_at] = monotonic()
            if len(self._sent_at) > _PENDING:
                del self._sent_at[next(iter(self._sent_at))]

    def see(self, message: Message) -> None:
        """Something that the daemon published."""
        if message.topic.startswith(self._events):
            self._count(message.topic.rpartition("/")[2])
            return
        kind, _, rest = message.topic.partition("/")
        if kind not in {"alerts", "health", "energy"} or message.retain:
            return
        value = json.loads(message.payload)
        if kind == "alerts":
            self.alert_count += 1
            self.alerts.append(value)
        elif kind == "health":
            self.health[rest] = value
        else:
            self.summaries[value["site"]] = value
        self._time(value.get("line", ""), value.get("measured_at", ""))

    async def settled(self) -> None:
        """Return when every reading's run has ended."""
        while self.finished + self.failed < self.sent:
            self._event = anyio.Event()
            await self._event.wait()

    def rate(self) -> float:
        """Finished runs per second, over the last seconds."""
        now = monotonic()
        self._moments.append((now, self.finished))
        while now - self._moments[0][0] > _RATE_WINDOW:
            self._moments.popleft()
        since, count = self._moments[0]
        return (self.finished - count) / (now - since) if now > since else 0.0

    def latency(self, share: float) -> float | None:
        """Seconds from publishing a reading to its result, at the share of 0 to 1 of all; None before the first."""
        ordered = sorted(self._latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None

    def _count(self, event: str) -> None:
        self.finished += event == "succeeded"
        self.failed += event in _FAILURES
        self._event.set()

    def _time(self, source: str, measured_at: str) -> None:
        sent_at = self._sent_at.pop((source, measured_at), None)
        if sent_at is not None:
            self._latencies.append(monotonic() - sent_at)
