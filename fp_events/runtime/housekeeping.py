"""What is done now and then: rates, retained states, retention."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime

from fp_events.domain.errors import StorageError

from .announcements import retained_json
from .intake import Intake
from .options import ServiceOptions
from .patience import passing
from .publisher import Publisher
from .runner import Runner
from .status import StatusBoard

#: Seconds between prunings at the most, and ends of runs between them: deleting a little at a time leaves the commits
#: beside it their pace, and the file its size. No two begin within PRUNE_LEAST seconds.
PRUNE_EVERY = 60.0
PRUNE_ENDS = 10_000
PRUNE_LEAST = 1.0
#: Seconds between two lines of the log about it, and between looks at whether a retained state is to be published anew.
TELL_PRUNED = 60.0
STATE_EVERY = 5


class Housekeeping:
    """Two roles beside the messages: `run` once a second, `prune` as runs end."""

    def __init__(
        self, options: ServiceOptions, *, runner: Runner, intake: Intake, publisher: Publisher, board: StatusBoard
    ) -> None:
        self._o = options
        self._runner = runner
        self._intake = intake
        self._publisher = publisher
        self._board = board
        self._published_states: dict[str, bytes] = {}

    async def run(self) -> None:
        """Rates, log lines, watchers, the confirmed mark, retained states; for ever."""
        seconds = 0
        while True:
            self._board.sample()
            self._o.tick()
            for watcher in self._o.watchers:
                watcher.beat()
            self._intake.confirm()
            if seconds % STATE_EVERY == 0:
                self.publish_states()
            seconds += 1
            await asyncio.sleep(1.0)

    async def prune(self) -> None:
        """Keep retention; for ever. Raises LedgerCorrupt and LedgerFailed."""
        gone, told_at = 0, time.monotonic()
        while True:
            await self._prune_due()
            try:
                gone += await self._o.ledger.prune(self._o.retention, datetime.now(UTC))
            except StorageError as error:
                if not passing(error):
                    raise
                self._o.log.warning("pruning_failed", error=str(error))
                continue
            now = time.monotonic()
            if gone and now - told_at >= TELL_PRUNED:
                self._o.log.info("pruned", runs=gone)
                gone, told_at = 0, now

    async def _prune_due(self) -> None:
        """Wait until enough runs have ended, or enough time has passed."""
        began, ended = time.monotonic(), self._board.finished()
        while time.monotonic() - began < PRUNE_EVERY:
            await asyncio.sleep(min(PRUNE_LEAST, PRUNE_EVERY))
            if self._board.finished() - ended >= PRUNE_ENDS:
                return

    def publish_states(self) -> None:
        """Publish the retained state of each pipeline whose state has changed."""
        for name, lane in self._runner.lanes.items():
            body = json.dumps(self._board.pipeline(name, lane)).encode()
            if self._published_states.get(name) != body:
                self._published_states[name] = body
                self._publisher.tell(retained_json(self._o.names.state(name), body))
