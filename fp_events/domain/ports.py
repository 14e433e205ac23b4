"""The shapes through which the layers meet. All of them take and give bursts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from .message import Confirmation, ConnectionStatus, Delivery, Publication, Subscription
from .observation import NodeRecord
from .records import (
    Batch,
    Committed,
    Opened,
    RetentionPolicy,
    RunQuery,
    StoredPublication,
    StoredRun,
    StoredState,
)
from .run import Attempt, AttemptResult, PlanRef, Released
from .schedule import StoredSchedule


class Transport(Protocol):
    """A connection to a broker that comes back by itself.

    `run` owns the connection and reconnects for ever; the other methods may be called from tasks beside it.
    """

    async def run(self) -> None:
        """Connect, stay connected, subscribe; return after `close`.

        Raises BrokerRefused where trying again cannot help: takeovers without end, or a configuration
        that the broker will never accept.
        """

    async def receive(self) -> Sequence[Delivery]:
        """Everything that has arrived, at least one; waits over lost connections."""

    def acknowledge(self, burst: Sequence[Delivery]) -> None:
        """Acknowledge in receive order. Deliveries of an older connection are passed over: they come back."""

    @property
    def confirmed(self) -> int:
        """Number of the last delivery whose acknowledgement, and all before it, the broker has processed for sure."""

    async def publish(self, burst: Sequence[Publication]) -> Sequence[Confirmation]:
        """Publish in order and wait for the broker's answers, one per publication, in the same order.

        Without a connection, or when it is lost, what has no answer is UNKNOWN, at once.
        """

    async def connected(self) -> None:
        """Wait until there is a connection with all subscriptions made."""

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Have these subscriptions and no others from now on: at once where there is a connection, else on the next.

        Those that stay as they are stay untouched. `status` says what the broker has granted.
        """

    def status(self) -> ConnectionStatus:
        """What is known now."""

    async def close(self, farewell: Sequence[Publication] = ()) -> None:
        """Publish `farewell`, disconnect (which cancels the will), let `run` return."""


class ReceivedIds(Protocol):
    """Packet identifiers of QoS 2 messages that are stored and that the broker has not released (MQTT 5, 4.3.3).

    An identifier comes in with the commit that stores its message, before `Transport.acknowledge`.
    """

    def known(self) -> Collection[int]:
        """Those of the broker's present session, when the process starts."""

    async def forget(self, packet_ids: Sequence[int]) -> None:
        """The broker has released these: durable when this returns; those it does not know are passed over."""

    async def clear(self) -> None:
        """The broker has lost the session, and nothing of a new one has arrived: durable when this returns."""


class Ledger(Protocol):
    """The durable record. One owner at a time; `commit` is the only way to change it."""

    async def open(self) -> Opened:
        """Take the lock, migrate, become the owner. Raises LedgerHeld, LedgerCorrupt, LedgerNewer, StorageError."""

    async def commit(self, batch: Batch) -> Committed:
        """One transaction, durable when this returns.

        Waits while the disk is full or the file is locked (`problem` says so); raises LedgerFailed when
        the disk failed: nothing may be acknowledged then.
        """

    @property
    def problem(self) -> str:
        """Why commits are waiting, one sentence; empty when they are not."""

    async def unfinished(self, *, after_seq: int, limit: int, max_bytes: int | None = None) -> Sequence[StoredRun]:
        """Runs that are not FINISHED, with their messages, in order of acceptance; at least one where there is one.

        With `max_bytes` no more follow once the payloads have reached it.
        """

    async def unsent(self, *, after_seq: int, limit: int, max_bytes: int | None = None) -> Sequence[StoredPublication]:
        """Publications neither confirmed nor refused, oldest first; at least one where there is one.

        With `max_bytes` no more follow once the payloads have reached it.
        """

    async def publications(self, run_id: str) -> Sequence[StoredPublication]:
        """What one run published and the broker has not confirmed, refused ones too, oldest first."""

    async def refused(self, *, limit: int) -> Sequence[StoredPublication]:
        """Publications that the broker refused, newest first."""

    async def states(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], bytes]:
        """Encoded state by (pipeline, key); a key without state is left out."""

    async def list_states(self, pipeline: str | None, *, limit: int, after: str = "") -> Sequence[StoredState]:
        """State by pipeline and key, in that order; only keys greater than `after`, for the next page of a pipeline."""

    async def schedules(self) -> Sequence[StoredSchedule]:
        """All schedules, by id."""

    async def runs(self, query: RunQuery) -> Sequence[StoredRun]:
        """Runs, newest first, without payloads and with their last failed attempt only."""

    async def run(self, run_id: str) -> StoredRun | None:
        """One run, whole; `run_id` may be a unique beginning. Raises UsageError where it is one of several."""

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Pipeline -> number of runs by state (`queued`, `running`, `waiting`), by outcome and as `dead_letters`.

        States and dead letters are those of now. Outcomes count every run that ever ended so, also after it was
        deleted; one that was opened again no longer counts. Read from counters that each commit keeps: costs
        the same whatever the number of runs. What is zero is left out.
        """

    async def purge(self, run_ids: Sequence[str]) -> int:
        """Delete finished runs with what belongs to them, publications too, sent or not; how many there were.

        Identities are remembered all the same.
        """

    async def prune(self, policy: RetentionPolicy, now: datetime) -> int:
        """Delete, in small steps, what `policy` no longer keeps; how many runs went.

        A run with an unsent or refused publication is kept; refused publications as long as dead letters.
        """

    async def close(self) -> None:
        """Give the lease back and close; this owner's RUNNING runs are QUEUED again.

        What `commit` has returned from is durable in any case.
        """


class Plan(Protocol):
    """A pipeline's functions, compiled for one configuration and one set of outputs. Immutable."""

    @property
    def ref(self) -> PlanRef:
        """Pipeline and version."""

    @property
    def inputs(self) -> Mapping[str, bool]:
        """External inputs by name; True where the plan cannot run without."""

    @property
    def validators(self) -> Mapping[str, Callable[[Any], Any]]:
        """By input, as far as its annotation describes fields: from what came in to that; raises InputInvalid."""

    @property
    def outputs(self) -> Sequence[str]:
        """The names that `execute` returns values of."""

    @property
    def uses_broker(self) -> bool:
        """Some node asks the broker, or publishes, while the plan runs; see `EXCHANGE`."""

    @property
    def is_async(self) -> bool:
        """Some node awaits: use `execute_async`."""

    @property
    def has_sync_nodes(self) -> bool:
        """Some node is an ordinary function, which may block."""

    @property
    def is_marked(self) -> bool:
        """Some node comes from a function with marks."""

    def traced(self) -> TracedRun:
        """One run of which every node is noted."""

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run every node once; outputs that were skipped are left out.

        An exception of a node passes through unchanged; `failed_node` names it.
        """

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The same for plans with awaiting nodes, which run concurrently where the graph allows."""

    def failed_node(self, error: BaseException) -> str:
        """The node that raised `error`, from its traceback; empty if none did."""


class TracedRun(Protocol):
    """One run of a plan, and what happens to its nodes."""

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the plan's; once."""

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the plan's; once."""

    def nodes(self, error: BaseException | None = None) -> Sequence[NodeRecord]:
        """What happened so far, in the order in which nodes began; `error` is what ended the run."""


class Handler(Protocol):
    """Turns an attempt into its result: decode, map, execute the plan, encode. Never raises."""

    @property
    def is_async(self) -> bool:
        """Use `handle_async`."""

    def handle(self, attempt: Attempt) -> AttemptResult:
        """Run one attempt on the calling thread."""

    async def handle_async(self, attempt: Attempt) -> AttemptResult:
        """Run one attempt on the running loop."""


class HandlerLoader(Protocol):
    """How an executor turns a PlanRef into what runs it; cached by the loader."""

    def __call__(self, ref: PlanRef) -> Handler:
        """The handler of `ref`."""


class Executor(Protocol):
    """Where whole runs execute."""

    @property
    def parallel(self) -> int:
        """Attempts that are executed at the same time at the most; what is handed over beside them waits there."""

    @property
    def capacity(self) -> int:
        """Attempts that are usefully handed over at a time; the rest waits with the runner."""

    async def start(self) -> None:
        """Make ready. Workers may start later, with the first attempt."""

    def submit(self, burst: Sequence[Attempt]) -> None:
        """Hand attempts over; returns at once."""

    async def results(self) -> Sequence[AttemptResult | Released]:
        """Everything that has ended, at least one."""

    def cancel(self, run_id: str) -> bool:
        """Ask for a run to be stopped; its result says CANCELLED. False where it is not here."""

    def status(self) -> Mapping[str, int]:
        """Counters for `status`: workers, busy, abandoned, restarts."""

    async def close(self, grace: float) -> None:
        """Wait at most `grace` seconds for what runs, then stop it. Results not yet taken are lost."""
