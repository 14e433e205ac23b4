"""What the runner keeps of one pipeline: its queues, its keys and their state."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque

from fp_events.domain.observation import RunRecord
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.ports import Executor
from fp_events.domain.run import Outcome, PlanRef

from .entry import Entry, Phase
from .trigger_queue import TriggerQueue

#: Runs of one trigger under way for runs that no message caused.
DEFAULT_CONCURRENCY = 64
#: Executors of older versions that are remembered.
FORMER = 8
#: Runs behind another of their key that are claimed with it, so that a key's runs do not wait for a commit each.
CLAIM_AHEAD = 32
#: Runs of a trigger that are claimed as they are accepted although no worker is free yet: as many as one worker
#: ends in so many seconds, so that fast runs need no claim of their own and a crash meets few that had not begun.
CLAIM_SECONDS = 0.01
#: Seconds of a claim that are made up for by claiming more at a time.
LONGEST_CLAIM = 0.1
MOST_CLAIMED = 1_000
#: Keys, and bytes of their state, that stay in memory when nothing runs for them.
REMEMBERED_KEYS = 50_000
REMEMBERED_BYTES = 64 * 1024 * 1024


class KeyStates:
    """Encoded state by key: what the last run computed, committed or on its way there."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, bytes | None] = OrderedDict()
        self._bytes = 0
        self._uncommitted: Counter[str] = Counter()
        #: Keys and bytes at which idle ones are looked for: a tenth above what the last look has left.
        self._look_at = (REMEMBERED_KEYS * 1.1, REMEMBERED_BYTES * 1.1)

    def knows(self, key: str) -> bool:
        """Whether `get` can answer without the ledger."""
        return key in self._values

    def get(self, key: str) -> bytes | None:
        """The key's state; None: it has none."""
        self._values.move_to_end(key)
        return self._values[key]

    def loaded(self, key: str, value: bytes | None) -> None:
        """The ledger's answer; what a run computed meanwhile is newer."""
        if key not in self._values:
            self._set(key, value)

    def computed(self, key: str, value: bytes | None) -> None:
        """A run returned `value`; its commit is under way."""
        self._set(key, value)
        self._uncommitted[key] += 1

    def committed(self, key: str) -> None:
        """The oldest value on its way has become durable."""
        self._uncommitted[key] -= 1
        if not self._uncommitted[key]:
            del self._uncommitted[key]

    def forget_idle(self, busy: dict[str, deque[Entry]]) -> None:
        """Drop the longest unused keys that nothing runs for; a tenth at a time, so that it costs little a run."""
        if len(self._values) <= self._look_at[0] and self._bytes <= self._look_at[1]:
            return
        for key in [key for key in self._values if key not in busy and key not in self._uncommitted]:
            if len(self._values) <= REMEMBERED_KEYS and self._bytes <= REMEMBERED_BYTES:
                break
            self._bytes -= len(self._values.pop(key) or b"")
        self._look_at = (
            max(len(self._values), REMEMBERED_KEYS) * 1.1,
            max(self._bytes, REMEMBERED_BYTES) * 1.1,
        )

    def _set(self, key: str, value: bytes | None) -> None:
        self._bytes += len(value or b"") - len(self._values.get(key) or b"")
        self._values[key] = value
        self._values.move_to_end(key)


class Lane:
    """One pipeline's runs. Same key: in order, one at a time. Different keys: in parallel."""

    def __init__(self, pipeline: Pipeline, executor: Executor) -> None:
        self.pipeline = pipeline
        self.executor = executor
        #: Where attempts of older versions may still be under way, the newest first.
        self.former: tuple[Executor, ...] = ()
        #: Where single runs execute that asked for it.
        self._others: tuple[Executor, ...] = ()
        self.plan = PlanRef(pipeline.name)
        self.paused = False
        #: By index of the trigger; the last one is for runs that no message caused.
        self.queues = [self._queue(trigger.concurrency) for trigger in pipeline.triggers]
        self.queues.append(self._queue(DEFAULT_CONCURRENCY))
        #: Indexes of those in which something waits, and of some that have become empty.
        self._filled: set[int] = set()
        #: Key -> its runs, the first of which may run.
        self.keys: dict[str, deque[Entry]] = {}
        self.states = KeyStates()
        #: Seconds of an attempt, a moving average; None: not measured yet.
        self._pace: float | None = None
        #: Seconds from the wish to claim waiting runs until they are, a moving average.
        self._claiming = 0.0
        self._surplus = 0
        #: Since the start of the daemon.
        self.outcomes: Counter[Outcome] = Counter()
        self.last: RunRecord | None = None

    def replace(self, pipeline: Pipeline, plan: PlanRef, executor: Executor) -> None:
        """Take a newer version, with as many triggers or more: runs that start from now on are its."""
        if executor is not self.executor:
            # Attempts that are under way there can still be cancelled.
            self.former = (self.executor, *self.former)[:FORMER]
        self.pipeline, self.plan, self.executor = pipeline, plan, executor
        more = [self._queue(trigger.concurrency) for trigger in pipeline.triggers[len(self.queues) - 1 :]]
        if more:
            # Before the last one, which is for runs that no message caused.
            self.queues[-1:-1] = more
            self._filled = set(range(len(self.queues)))
        for trigger, queue in zip(pipeline.triggers, self.queues, strict=False):
            queue.limit, queue.elastic = self._limit(trigger.concurrency)
        self.queues[-1].limit, self.queues[-1].elastic = self._limit(DEFAULT_CONCURRENCY)

    def cancel(self, run_id: str) -> None:
        """Have an attempt stopped, wherever it is under way."""
        for executor in (self.executor, *self.former, *self._others):
            if executor.cancel(run_id):
                return

    def also(self, executor: Executor) -> None:
        """A run of the pipeline executes there."""
        if executor not in self._others:
            self._others = (executor, *self._others)[:FORMER]

    def _queue(self, concurrency: int) -> TriggerQueue:
        limit, elastic = self._limit(concurrency)
        return TriggerQueue(limit, elastic)

    def _limit(self, concurrency: int) -> tuple[int, bool]:
        return max(1, min(concurrency, self.executor.capacity)), self.executor.parallel <= concurrency

    def may_hand_over(self, queue: TriggerQueue) -> int:
        """Attempts of a trigger that its executor may have at a time: of quick ones as many as it ends in a moment."""
        return queue.limit + self._surplus if queue.elastic else queue.limit

    def queue(self, entry: Entry) -> TriggerQueue:
        """The queue of the entry's trigger."""
        return self.queues[-1 if entry.trigger is None else entry.trigger]

    def key_of(self, key: str | None) -> str | None:
        """Pipelines with state but without a key have one key for all their runs."""
        return "" if key is None and self.pipeline.state else key

    def may_start(self, queue: TriggerQueue, key: str | None, ahead: int) -> bool:
        """Whether a new run can be accepted RUNNING: a worker is free, or a run of its key goes before it.

        `ahead`: runs of its trigger that are accepted in the same burst and not in the lane yet.
        """
        line = self.keys.get(key) if key is not None else None
        if line:
            may_follow = not self.paused and not queue.paused and line[0].phase is not Phase.WAITING
            return may_follow and len(line) + ahead < CLAIM_AHEAD
        return self.room(queue) > ahead

    def room(self, queue: TriggerQueue) -> int:
        """How many runs of a trigger, none of which has a key, can be accepted RUNNING."""
        if self.paused or queue.paused:
            return 0
        return queue.limit + self._surplus - queue.executing - queue.waiting

    def measure(self, seconds: float) -> None:
        """An attempt took so long; a sample now and then is enough."""
        self._pace = seconds if self._pace is None else 0.8 * self._pace + 0.2 * seconds
        # While one burst is claimed, another one must be there to be executed.
        self._surplus = min(MOST_CLAIMED, int((CLAIM_SECONDS + self._claiming) / max(self._pace, 1e-6)))

    def claimed(self, seconds: float) -> None:
        """A claim took so long."""
        self._claiming = min(LONGEST_CLAIM, 0.8 * self._claiming + 0.2 * seconds)

    def add(self, entry: Entry) -> None:
        """Take a run in: behind its key, or into its trigger's queue."""
        if entry.key is not None:
            line = self.keys.setdefault(entry.key, deque())
            line.append(entry)
            if line[0] is not entry:
                entry.phase = Phase.BLOCKED
                return
        self.make_ready(entry)

    def leave(self, entry: Entry) -> None:
        """The run holds its key no more: the next one of the key is ready."""
        if entry.key is None:
            return
        line = self.keys.get(entry.key)
        if line is None:
            return
        if line[0] is not entry:
            # Ended while another run of its key goes before it.
            if entry in line:
                line.remove(entry)
            return
        line.popleft()
        if not line:
            del self.keys[entry.key]
            return
        if line[0].phase is Phase.BLOCKED:
            self.make_ready(line[0])

    def make_ready(self, entry: Entry) -> None:
        """Put the first run of its key, or one that is due, into its trigger's queue: keys take turns."""
        entry.phase = Phase.READY
        index = len(self.queues) - 1 if entry.trigger is None else entry.trigger
        self.queues[index].put(entry)
        self._filled.add(index)

    def filled(self) -> list[TriggerQueue]:
        """The queues in which something waits, in their order: a pipeline may have thousands in which nothing does."""
        found = []
        for index in sorted(self._filled):
            queue = self.queues[index]
            if queue.waiting:
                found.append(queue)
            else:
                self._filled.remove(index)
        return found

    def due(self, entry: Entry) -> None:
        """A waiting run may go on: at once, or when those of its key that are before it have ended."""
        line = self.keys.get(entry.key) if entry.key is not None else None
        if entry.key is not None and (line is None or entry not in line):
            self.add(entry)
        elif line is None or line[0] is entry:
            self.make_ready(entry)
        else:
            entry.phase = Phase.BLOCKED

    def followers(self, entry: Entry) -> list[Entry]:
        """Runs right behind the entry in its key's line that are to be claimed with it."""
        if entry.key is None:
            return []
        line = self.keys[entry.key]
        found = []
        for index in range(1, min(len(line), CLAIM_AHEAD)):
            follower = line[index]
            if follower.phase is not Phase.BLOCKED:
                break  # waits for a time of its own
            if not follower.claimed and not follower.claiming:
                found.append(follower)
        return found
