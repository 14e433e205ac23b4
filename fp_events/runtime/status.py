"""What a daemon knows of itself, as `status` and the retained topics show it."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fp_events.domain.ports import Transport
from fp_events.domain.run import Outcome

from .intake import Intake
from .lane import Lane
from .options import ServiceOptions
from .runner import Runner
from .teller import Teller
from .trigger_queue import TriggerQueue

#: Samples, one a second, over which rates are taken.
RATE_OVER = 10


class StatusBoard:
    """Reads counters; owns none but the samples of the rates."""

    def __init__(
        self, options: ServiceOptions, *, transport: Transport, intake: Intake, runner: Runner, teller: Teller
    ) -> None:
        self._o = options
        self._transport = transport
        self._intake = intake
        self._runner = runner
        self._teller = teller
        self._sections: dict[str, Callable[[], Any]] = {}
        self._started = time.monotonic()
        self._rates: deque[tuple[float, int, int]] = deque(maxlen=RATE_OVER + 1)
        self.draining = False

    def sample(self) -> None:
        """Take a sample for the rates; once a second."""
        self._rates.append((time.monotonic(), self._intake.received, self.finished()))

    def activity(self) -> int:
        """A number that grows with every message and every run that ends."""
        return self._intake.received + self.finished()

    def add(self, name: str, section: Callable[[], Any]) -> None:
        """Have `status` show, under `name`, what `section` returns."""
        self._sections[name] = section

    async def whole(self) -> dict[str, Any]:
        """Everything `status` shows."""
        o = self._o
        connection = self._transport.status()
        counts = await o.ledger.counts()
        return {
            "project": o.project,
            "version": o.version,
            "client_id": o.names.client_id,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started, 3),
            "draining": self.draining,
            "tasks": len(asyncio.all_tasks()),
            "broker": {
                "address": connection.address,
                "connected": connection.connected,
                "connections": connection.connections,
                "session_present": connection.session_present,
                "last_error": connection.last_error or None,
                "granted": dict(connection.granted),
            },
            "ledger": {
                "path": str(o.ledger_path) if o.ledger_path else "memory",
                "problem": o.ledger.problem or None,
                "size_bytes": _size(o.ledger_path),
                "refused": self._teller.refused,
            },
            "totals": {
                "received": self._intake.received,
                "unmatched": self._intake.unmatched,
                "finished": self.finished(),
                "pending": len(self._runner.pending),
                "pending_bytes": self._runner.pending.bytes,
                **self._per_second(),
            },
            "executors": {
                name: dict(executor.status())
                for name, executor in {label: executor for executor, label in o.executor_of.values()}.items()
            },
            **{name: section() for name, section in self._sections.items()},
            "pipelines": [
                {
                    **self.pipeline(name, lane),
                    **_ledger_counts(counts.get(name, {})),
                    "executor": o.executor_of[name][1],
                    "triggers": self._triggers(lane),
                }
                for name, lane in self._runner.lanes.items()
            ],
        }

    def pipeline(self, name: str, lane: Lane) -> dict[str, Any]:
        """One pipeline, as its retained topic shows it."""
        last = lane.last
        return {
            "name": name,
            "enabled": lane.pipeline.enabled,
            "paused": lane.paused,
            "version": self._o.versions.get(name, ""),
            "since_start": {outcome.value: count for outcome, count in lane.outcomes.items()},
            "last_run": None
            if last is None
            else {
                "run_id": last.run_id,
                "outcome": last.outcome.value,
                "finished_at": last.finished_at.isoformat(),
                "duration_s": last.duration,
            },
        }

    def _triggers(self, lane: Lane) -> list[dict[str, Any]]:
        now, wall = time.monotonic(), datetime.now(UTC).timestamp()
        return [
            {
                "topic": trigger.topic,
                "received": queue.received,
                "duplicates": queue.duplicates,
                "executing": queue.executing,
                "paused": queue.paused,
                "oldest_ready_s": _age(queue),
                "last_message_at": None
                if queue.last_message is None
                else datetime.fromtimestamp(wall - (now - queue.last_message), UTC).isoformat(),
            }
            for trigger, queue in zip(lane.pipeline.triggers, lane.queues, strict=False)
        ]

    def finished(self) -> int:
        """Runs that have ended since the start."""
        return sum(lane.outcomes.total() for lane in self._runner.lanes.values())

    def _per_second(self) -> dict[str, float]:
        if len(self._rates) < 2:
            return {"received_per_s": 0.0, "finished_per_s": 0.0}
        (then, received, finished), (now, received_now, finished_now) = self._rates[0], self._rates[-1]
        span = max(now - then, 1e-9)
        return {
            "received_per_s": round((received_now - received) / span, 2),
            "finished_per_s": round((finished_now - finished) / span, 2),
        }


def _age(queue: TriggerQueue) -> float | None:
    """Seconds since the run was made that has waited longest for a place at the executor."""
    oldest = queue.oldest()
    return None if oldest is None else round((datetime.now(UTC) - oldest.created_at).total_seconds(), 3)


def _ledger_counts(counts: Mapping[str, int]) -> dict[str, int]:
    names = ("queued", "running", "waiting", *(outcome.value for outcome in Outcome), "dead_letters")
    return {name: counts.get(name, 0) for name in names}


def _size(path: Path | None) -> int:
    """Bytes of the ledger's file and of its log, which holds what is not copied into the file yet."""
    if path is None:
        return 0
    size = 0
    for file in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            size += file.stat().st_size
    return size
