"""Whatever is done, in whatever order: the ledger in memory and the one in SQLite give the same answers."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fp_events.domain.ports import Ledger
from fp_events.domain.records import (
    Accept,
    Batch,
    Claim,
    Refused,
    Reopen,
    RunQuery,
    StateWrite,
    StoredPublication,
    StoredState,
    TransportKey,
    Wait,
)
from fp_events.domain.run import Outcome, RunState
from fp_events.ledgers.memory import MemoryLedger
from fp_events.ledgers.sqlite import SqliteLedger
from fp_events.ledgers.sqlite_maintenance import check

from .kit import FACTS, KEEP, NOON, at, finish, message, new_run, publication

T = TypeVar("T")

#: The file system does not matter here, its speed does.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

RUNS = [f"{letter}{number}" for letter in "ab" for number in range(6)]
RUN = st.sampled_from(RUNS)
EVENT = st.sampled_from([f"e{number}" for number in range(5)])
ATTEMPT = st.integers(0, 3)
SECONDS = st.integers(0, 20)
STATE = st.builds(
    StateWrite,
    pipeline=st.sampled_from(["p", "q"]),
    key=st.sampled_from(["1", "2"]),
    value=st.none() | st.binary(max_size=3),
)
FINISH = st.builds(
    lambda run, attempt, outcome, seconds, events, state, failed: finish(
        run,
        attempt,
        outcome=outcome,
        finished_at=at(seconds),
        publications=tuple(publication(event) for event in events),
        state=state,
        facts=FACTS if failed else None,
        dead_letter=failed,
    ),
    RUN,
    ATTEMPT,
    st.sampled_from(list(Outcome)),
    SECONDS,
    st.lists(EVENT, max_size=2, unique=True),
    st.none() | STATE,
    st.booleans(),
)
#: The run's number makes its id unique; ids that exist already are an error that is tested elsewhere.
NEW_RUN = st.builds(
    lambda state, dedup, seconds, pipeline: replace(
        new_run("", state=state, dedup_key=dedup, created_at=at(seconds), pipeline=pipeline), key=dedup
    ),
    st.sampled_from([RunState.QUEUED, RunState.RUNNING, RunState.WAITING]),
    st.none() | st.sampled_from(["i", "j", "k"]),
    SECONDS,
    st.sampled_from(["p", "q"]),
)
ACCEPT = st.builds(
    lambda runs, payload, key, again: (runs, payload, key, again),
    st.lists(NEW_RUN, max_size=2),
    st.sampled_from([None, b"x", b"y"]),
    st.none() | st.integers(1, 2),
    st.booleans(),
)


def timeless(state: StoredState) -> StoredState:
    """An operator's write is stamped by each ledger's own clock."""
    return state if state.run_id else replace(state, updated_at=NOON)


def numberless(row: StoredPublication) -> StoredPublication:
    """Rows of the outbox may get numbers of sent ones after a restart."""
    return replace(row, seq=0)


async def everything(ledger: Ledger) -> list[object]:
    """All that a ledger tells of itself."""
    return [
        await ledger.counts(),
        await ledger.unfinished(after_seq=0, limit=100),
        [numberless(row) for row in await ledger.unsent(after_seq=0, limit=100)],
        [numberless(row) for row in await ledger.refused(limit=100)],
        await ledger.runs(RunQuery(limit=100)),
        [timeless(state) for state in await ledger.list_states(None, limit=100)],
    ]


class Agreement(RuleBasedStateMachine):
    """Two ledgers, one history."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.generation = 0
        self.memory: MemoryLedger = MemoryLedger()
        self.sqlite = SqliteLedger(self.folder / "0" / "ledger.db", synchronous="normal")
        self.session = 1
        self.free = list(reversed(RUNS))
        self.same(lambda ledger: ledger.open())

    def same(self, call: Callable[[Ledger], Coroutine[Any, Any, T]]) -> T:
        first, second = self.runner.run(call(self.memory)), self.runner.run(call(self.sqlite))
        assert first == second
        return first

    @rule(
        accepts=st.lists(ACCEPT, max_size=3),
        claims=st.lists(st.builds(Claim, run_id=RUN, attempt=ATTEMPT, alone=st.booleans()), max_size=2),
        waits=st.lists(
            st.builds(Wait, run_id=RUN, attempt=ATTEMPT, due_at=SECONDS.map(at), facts=st.just(FACTS)), max_size=2
        ),
        finishes=st.lists(FINISH, max_size=2),
        reopened=st.lists(st.builds(Reopen, run_id=RUN), max_size=1),
        sent=st.lists(EVENT, max_size=2),
        refused=st.lists(st.builds(Refused, event_id=EVENT, reason=st.just("no")), max_size=1),
        resend=st.lists(EVENT, max_size=1),
        no_longer_alone=st.lists(RUN, max_size=1),
        states=st.lists(STATE, max_size=2),
        names=st.dictionaries(st.sampled_from(["s", "t"]), st.none() | st.binary(max_size=2), max_size=2),
        confirmed=st.none() | st.integers(0, 20),
    )
    def commit(
        self,
        accepts: list[Any],
        claims: list[Claim],
        waits: list[Wait],
        finishes: list[Any],
        reopened: list[Reopen],
        sent: list[str],
        refused: list[Refused],
        resend: list[str],
        no_longer_alone: list[str],
        states: list[StateWrite],
        names: dict[str, bytes | None],
        confirmed: int | None,
    ) -> None:
        batch = Batch(
            accepts=tuple(self.named(*item) for item in accepts),
            claims=tuple(claims),
            waits=tuple(waits),
            finishes=tuple(finishes),
            reopened=tuple(reopened),
            sent=tuple(sent),
            refused=tuple(refused),
            resend=tuple(resend),
            no_longer_alone=tuple(no_longer_alone),
            states=tuple(states),
            settings=names,
            confirmed_message_id=confirmed,
        )
        self.same(lambda ledger: ledger.commit(batch))

    def named(self, runs: list[Any], payload: bytes | None, packet_id: int | None, again: bool) -> Accept:
        chosen = [replace(run, run_id=self.free.pop()) for run in runs if self.free]
        content = None if payload is None else message(payload)
        key = TransportKey(self.session, packet_id) if content and packet_id else None
        return Accept(message=content, runs=tuple(chosen), transport_key=key, redelivered=again)

    @rule()
    def session_lost(self) -> None:
        self.session += 1

    @rule()
    def restart(self) -> None:
        self.same(lambda ledger: ledger.close())
        self.same(lambda ledger: ledger.open())

    @rule()
    def crash(self) -> None:
        self.generation += 1
        folder = self.folder / str(self.generation)
        folder.mkdir()
        for name in ("ledger.db", "ledger.db-wal"):
            shutil.copy(self.sqlite.path.with_name(name), folder / name)
        self.runner.run(self.sqlite.close())
        self.memory = self.memory.after_crash()
        self.sqlite = SqliteLedger(folder / "ledger.db", synchronous="normal")
        self.same(lambda ledger: ledger.open())

    @rule(run_ids=st.lists(RUN, max_size=3))
    def purge(self, run_ids: list[str]) -> None:
        self.same(lambda ledger: ledger.purge(run_ids))

    @rule(
        runs_age=SECONDS,
        dead_letters_age=SECONDS,
        dedup_age=SECONDS,
        dedup_count=st.integers(0, 3),
        room=st.sampled_from([1, 2**60]),
        now=SECONDS,
    )
    def prune(
        self, runs_age: int, dead_letters_age: int, dedup_age: int, dedup_count: int, room: int, now: int
    ) -> None:
        policy = replace(
            KEEP,
            runs_age=runs_age,
            dead_letters_age=dead_letters_age,
            dedup_age=dedup_age,
            dedup_count=dedup_count,
            max_bytes=room,
        )
        self.same(lambda ledger: ledger.prune(policy, at(now)))

    @invariant()
    def equal(self) -> None:
        self.same(everything)
        assert "" == self.memory.problem == self.sqlite.problem

    @rule(
        query=st.builds(
            RunQuery,
            pipeline=st.none() | st.sampled_from(["p", "q"]),
            states=st.frozensets(st.sampled_from(list(RunState)), max_size=2),
            outcomes=st.frozensets(st.sampled_from(list(Outcome)), max_size=2),
            key=st.none() | st.sampled_from(["i", "j"]),
            dead_letters=st.booleans(),
            created_after=st.none() | SECONDS.map(at),
            created_before=st.none() | SECONDS.map(at),
            limit=st.integers(0, 5),
            before_seq=st.none() | st.integers(0, 12),
        )
    )
    def ask(self, query: RunQuery) -> None:
        self.same(lambda ledger: ledger.runs(query))

    @rule(run_id=RUN)
    def one(self, run_id: str) -> None:
        self.same(lambda ledger: ledger.run(run_id))

    @precondition(lambda self: self.generation % 2)
    @rule()
    def whole(self) -> None:
        assert [] == check(self.sqlite.path)

    def teardown(self) -> None:
        self.same(lambda ledger: ledger.close())
        found = check(self.sqlite.path)
        self.runner.close()
        shutil.rmtree(self.folder)
        assert [] == found


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    # Explaining a failure traces every line, which takes longer than the test may.
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
