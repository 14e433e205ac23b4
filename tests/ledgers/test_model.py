"""A ledger does what a page of Python says: runs, attempts, outcomes, duplicates, unsent results, over crashes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from fp_events.domain.ports import Ledger
from fp_events.domain.records import Accept, Batch, Claim, Reopen, RunQuery, Wait
from fp_events.domain.run import Outcome, RunState
from fp_events.ledgers.memory import MemoryLedger
from fp_events.ledgers.sqlite import SqliteLedger

from .kit import FACTS, NOON, at, finish, message, new_run, publication

RUN = st.integers(0, 5).map(lambda number: f"r{number}")
OUTCOME = st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.REJECTED, Outcome.CANCELLED])


@dataclass
class Run:
    """What the model knows of a run."""

    state: RunState
    attempt: int = 0
    outcome: Outcome | None = None
    dead_letter: bool = False
    #: Owned by the present owner: only then it may end or wait.
    mine: bool = False


class Model(RuleBasedStateMachine):
    """One ledger beside a dictionary."""

    sqlite = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.life = 0
        self.ledger: Any = SqliteLedger(self.path, synchronous="normal") if self.sqlite else MemoryLedger()
        self.loop.run(self.ledger.open())
        self.runs: dict[str, Run] = {}
        self.identities: set[str] = set()
        self.unsent: set[str] = set()

    @property
    def path(self) -> Path:
        return self.folder / str(self.life) / "ledger.db"

    def commit(self, **changes: Any) -> Any:
        ledger: Ledger = self.ledger
        return self.loop.run(ledger.commit(Batch(**changes)))

    @rule(run_id=RUN, identity=st.none() | st.sampled_from(["i", "j"]), running=st.booleans())
    def accept(self, run_id: str, identity: str | None, running: bool) -> None:
        if run_id in self.runs:
            return
        state = RunState.RUNNING if running else RunState.QUEUED
        run = replace(new_run(run_id, state=state, dedup_key=identity), key=None)
        self.commit(accepts=(Accept(message=message(), runs=(run,)),))
        if identity is None or identity not in self.identities:
            self.runs[run_id] = Run(state, attempt=int(running), mine=running)
        self.identities |= {identity} if identity else set()

    @rule(run_id=RUN, behind=st.sampled_from([0, 0, 0, 1]))
    def claim(self, run_id: str, behind: int) -> None:
        run = self.runs.get(run_id)
        attempt = (run.attempt if run else 0) + 1 - behind
        self.commit(claims=(Claim(run_id=run_id, attempt=attempt),))
        # What a crashed owner was at may be repeated under its number; all else needs a new one.
        again = run is not None and run.state is RunState.RUNNING and not run.mine
        if run and run.outcome is None and (again or not behind):
            run.state, run.attempt, run.mine = RunState.RUNNING, attempt, True

    @rule(run_id=RUN, off=st.sampled_from([0, 0, 0, 1]), seconds=st.integers(0, 9))
    def wait(self, run_id: str, off: int, seconds: int) -> None:
        run = self.runs.get(run_id)
        attempt = (run.attempt if run else 1) + off
        self.commit(waits=(Wait(run_id=run_id, attempt=attempt, due_at=at(seconds), facts=FACTS),))
        if run and run.state is RunState.RUNNING and run.mine and not off:
            run.state = RunState.WAITING

    @rule(run_id=RUN, off=st.sampled_from([0, 0, 0, 1]), outcome=OUTCOME, event=st.booleans())
    def finish(self, run_id: str, off: int, outcome: Outcome, event: bool) -> None:
        run = self.runs.get(run_id)
        attempt = (run.attempt if run else 1) + off
        name = f"{run_id}:{attempt}:{outcome}"
        failed = outcome in (Outcome.FAILED, Outcome.REJECTED)
        self.commit(
            finishes=(
                finish(run_id, attempt, outcome=outcome, finished_at=NOON, dead_letter=failed,
                       publications=(publication(name),) if event else ()),
            )
        )  # fmt: skip
        # A run that has not started (expired, cancelled) ends at the attempt that it is at.
        mine = run is not None and (run.mine or run.state is not RunState.RUNNING)
        if run and run.outcome is None and mine and not off:
            run.state, run.outcome, run.dead_letter = RunState.FINISHED, outcome, failed
            self.unsent |= {name} if event else set()

    @rule(run_id=RUN)
    def reopen(self, run_id: str) -> None:
        run = self.runs.get(run_id)
        self.commit(reopened=(Reopen(run_id=run_id),))
        if run and run.outcome is not None and run.dead_letter:
            run.state, run.outcome, run.dead_letter, run.mine = RunState.QUEUED, None, False, False

    @rule(data=st.data())
    def sent(self, data: st.DataObject) -> None:
        if self.unsent:
            name = data.draw(st.sampled_from(sorted(self.unsent)))
            self.commit(sent=(name,))
            self.unsent.discard(name)

    @rule()
    def crash(self) -> None:
        if self.sqlite:
            before = self.path
            self.life += 1
            self.path.parent.mkdir()
            for name in ("ledger.db", "ledger.db-wal"):
                shutil.copy(before.with_name(name), self.path.with_name(name))
            self.loop.run(self.ledger.close())
            self.ledger = SqliteLedger(self.path, synchronous="normal")
        else:
            self.ledger = self.ledger.after_crash()
        self.loop.run(self.ledger.open())
        for run in self.runs.values():
            run.mine = False

    @rule()
    def restart(self) -> None:
        self.loop.run(self.ledger.close())
        self.loop.run(self.ledger.open())
        for run in self.runs.values():
            if run.state is RunState.RUNNING and run.mine:
                run.state = RunState.QUEUED
            run.mine = False

    @invariant()
    def same(self) -> None:
        ledger: Ledger = self.ledger
        rows = self.loop.run(ledger.runs(RunQuery(limit=100)))
        found = {row.run_id: (row.state, row.attempt, row.outcome, row.dead_letter) for row in rows}
        assert found == {
            name: (run.state, run.attempt, run.outcome, run.dead_letter) for name, run in self.runs.items()
        }
        unsent = self.loop.run(ledger.unsent(after_seq=0, limit=100))
        assert {row.publication.event_id for row in unsent} == self.unsent

    def teardown(self) -> None:
        self.loop.run(self.ledger.close())
        self.loop.close()
        shutil.rmtree(self.folder)


class SqliteModel(Model):
    """The same in a file."""

    sqlite = True


@pytest.mark.parametrize("machine", [Model, SqliteModel])
def test_a_ledger_does_what_the_model_does(machine: type[Model]) -> None:
    """Accepting, claiming, waiting, finishing, reopening and sending, in any order, stale attempts and crashes among them."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )  # fmt: skip
