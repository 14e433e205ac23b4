"""What is deleted, and what never is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from fp_events.domain.ports import Ledger
from fp_events.domain.records import Accept, Batch, Refused, Reopen, RetentionPolicy, RunQuery, TransportKey
from fp_events.domain.run import Cause, Outcome, RunState
from fp_events.ledgers.sqlite import SqliteLedger

from .conftest import House
from .kit import FACTS, KEEP, accept, accepted, at, claim, finish, finished, new_run, publication, wait


async def names(ledger: Ledger) -> list[str]:
    return [run.run_id for run in reversed(await ledger.runs(RunQuery(limit=10_000)))]


async def ended(ledger: Ledger, run_id: str, seconds: float, *, dead_letter: bool = False, sent: bool = True) -> None:
    """A run that finished so many seconds after noon, with one publication."""
    await ledger.commit(accepted(run_id, state=RunState.RUNNING))
    await ledger.commit(
        finished(
            finish(
                run_id,
                outcome=Outcome.FAILED if dead_letter else Outcome.SUCCEEDED,
                finished_at=at(seconds),
                publications=(publication(f"e-{run_id}"),),
                facts=FACTS,
                dead_letter=dead_letter,
            )
        )
    )
    if sent:
        await ledger.commit(Batch(sent=(f"e-{run_id}",)))


async def test_runs_go_when_they_are_old(ledger: Ledger) -> None:
    """Successes after their age, dead letters after their own; unfinished and unsent never."""
    await ended(ledger, "old", 0)
    await ended(ledger, "old-unsent", 0, sent=False)
    await ended(ledger, "old-letter", 0, dead_letter=True)
    await ended(ledger, "young", 50)
    await ledger.commit(accepted("queued"))
    await ledger.commit(accepted("running", state=RunState.RUNNING))
    await ledger.commit(accepted("waiting", state=RunState.RUNNING))
    await ledger.commit(wait("waiting"))
    policy = replace(KEEP, runs_age=60.0, dead_letters_age=100.0)

    first = await ledger.prune(policy, at(100))
    kept = await names(ledger)
    second = await ledger.prune(policy, at(101))

    assert (1, 1) == (first, second)
    assert ["old-unsent", "old-letter", "young", "queued", "running", "waiting"] == kept
    assert ["old-unsent", "young", "queued", "running", "waiting"] == await names(ledger)
    expected = {"succeeded": 3, "failed": 1, "queued": 1, "running": 1, "waiting": 1}
    assert {"temperature": expected} == await ledger.counts()


async def test_the_oldest_go_when_there_are_too_many_bytes(ledger: Ledger) -> None:
    """Without room, finished runs go by age, dead letters last, and the rest stays."""
    await ended(ledger, "letter", 1, dead_letter=True)
    await ended(ledger, "unsent", 2, sent=False)
    await ended(ledger, "done", 3)
    await ledger.commit(accepted("queued"))

    gone = await ledger.prune(replace(KEEP, max_bytes=1), at(10))

    assert (2, ["unsent", "queued"]) == (gone, await names(ledger))


async def test_pruning_for_room_stops_where_there_is_enough(tmp_path: Path) -> None:
    """Newer runs stay once the file is small enough, and the file itself shrinks."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    await ledger.open()
    payload = b"x" * 4000
    for start in range(0, 6000, 500):
        runs = [f"r{number:05}" for number in range(start, start + 500)]
        batch = tuple(accept(new_run(name, state=RunState.RUNNING), payload=payload) for name in runs)
        await ledger.commit(Batch(accepts=batch))
        await ledger.commit(finished(*(finish(name, finished_at=at(start)) for name in runs)))

    await ledger.prune(replace(KEEP, max_bytes=10_000_000), at(10))

    left = await names(ledger)
    await ledger.close()
    assert 1500 <= len(left) <= 2500
    assert [f"r{number:05}" for number in range(6000 - len(left), 6000)] == left
    # What may stay free for new rows is 8 MiB.
    assert ledger.path.stat().st_size <= 10_000_000 + 9 * 1024**2


async def test_a_message_stays_as_long_as_one_run_needs_it(ledger: Ledger) -> None:
    """Deleting one of a message's two runs leaves the other whole."""
    await ledger.commit(Batch(accepts=(accept(new_run("r1", state=RunState.RUNNING), new_run("r2")),)))
    await ledger.commit(finished(finish("r1")))

    await ledger.prune(replace(KEEP, runs_age=1.0), at(10))

    (run,) = await ledger.unfinished(after_seq=0, limit=9)
    assert run.message is not None
    assert ("r2", b"21.5") == (run.run_id, run.message.payload)


async def test_numbers_are_not_used_again(house: House, ledger: Ledger) -> None:
    """Rows of a ledger that was emptied do not lend their numbers to new ones: marks and pages compare them."""
    await ended(ledger, "r1", 0)
    await ledger.prune(replace(KEEP, runs_age=1.0), at(10))

    ledger = await house.crash()
    await ledger.open()
    answer = await ledger.commit(accepted("r2"))

    run = await ledger.run("r2")
    assert run is not None
    assert (2, 2) == (answer.accepted[0].message_id, run.seq)


async def test_a_retried_run_is_kept_until_its_new_result_is_sent(house: House, ledger: Ledger) -> None:
    """However its rows in the outbox are numbered after a restart."""
    await ended(ledger, "first", 0)
    await ended(ledger, "retried", 0, dead_letter=True)
    ledger = await house.crash()
    await ledger.open()
    await ledger.commit(Batch(reopened=(Reopen(run_id="retried"),)))
    await ledger.commit(claim("retried", 2))
    await ledger.commit(finished(finish("retried", 2, publications=(publication("again"),))))

    before = await ledger.prune(replace(KEEP, runs_age=1.0), at(10))
    await ledger.commit(Batch(sent=("again",)))
    after = await ledger.prune(replace(KEEP, runs_age=1.0), at(10))

    assert (1, 1) == (before, after)


async def test_a_retried_run_is_kept_until_its_dead_letter_is_sent(house: House, ledger: Ledger) -> None:
    """What it published before an operator opened it again holds it as well; a purge takes both."""
    for name in ("retried", "purged"):
        await ended(ledger, name, 0, dead_letter=True, sent=False)
    ledger = await house.crash()
    await ledger.open()
    for name in ("retried", "purged"):
        await ledger.commit(Batch(reopened=(Reopen(run_id=name),)))
        await ledger.commit(claim(name, 2))
        await ledger.commit(finished(finish(name, 2, publications=(publication(f"again-{name}"),))))

    purged = await ledger.purge(["purged"])
    await ledger.commit(Batch(sent=("again-retried",)))
    before = await ledger.prune(replace(KEEP, runs_age=1.0), at(10))
    unsent = [row.publication.event_id for row in await ledger.unsent(after_seq=0, limit=9)]
    await ledger.commit(Batch(sent=("e-retried",)))
    after = await ledger.prune(replace(KEEP, runs_age=1.0), at(10))

    assert (1, 0, ["e-retried"], 1) == (purged, before, unsent, after)


async def test_refused_publications_are_kept_like_dead_letters(ledger: Ledger) -> None:
    """They hold their run until their own age is over."""
    await ended(ledger, "r1", 0, sent=False)
    await ledger.commit(Batch(refused=(Refused(event_id="e-r1", reason="not authorised"),)))
    policy = replace(KEEP, runs_age=1.0, dead_letters_age=100.0)

    counts = [await ledger.prune(policy, at(seconds)) for seconds in (50, 101, 102)]

    assert ([0, 0, 1], []) == (counts, list(await ledger.refused(limit=9)))


async def test_messages_without_runs_go_when_they_are_old(ledger: Ledger) -> None:
    """A message that was only recorded is kept as long as a run would be."""
    key = TransportKey(1, 1)
    delivery = accept(transport_key=key)
    await ledger.commit(Batch(accepts=(delivery,)))

    async def known() -> bool:
        again = await ledger.commit(Batch(accepts=(replace(delivery, redelivered=True),)))
        return again.accepted[0].message_id == 1

    await ledger.prune(replace(KEEP, runs_age=10.0), at(10))
    before = await known()
    await ledger.prune(replace(KEEP, runs_age=10.0), at(11))
    after = await known()

    assert (True, False) == (before, after)


async def test_a_deleted_message_is_not_taken_for_an_older_one(house: House, ledger: Ledger) -> None:
    """A reading equal to the one before the last is a new reading, though the last one is deleted."""
    key = TransportKey(1, 7)
    await ledger.commit(Batch(accepts=(accept(new_run("r1"), payload=b"y", transport_key=key),)))
    last = accept(new_run("r2", state=RunState.RUNNING), payload=b"x", transport_key=key)
    await ledger.commit(Batch(accepts=(last,)))
    await ledger.commit(finished(finish("r2")))
    await ledger.prune(replace(KEEP, runs_age=1.0), at(10))

    ledger = await house.crash()
    await ledger.open()
    again = accept(new_run("r3"), payload=b"y", transport_key=key, redelivered=True)
    answer = await ledger.commit(Batch(accepts=(again,)))

    assert ("r3",) == answer.accepted[0].run_ids


async def test_identities_are_forgotten_by_age_and_by_number(ledger: Ledger) -> None:
    """The oldest go first; what is forgotten is accepted again."""

    async def fresh(*keys: str, prefix: str, seconds: float = 0) -> list[str]:
        runs = [new_run(f"{prefix}{key}", dedup_key=key, created_at=at(seconds)) for key in keys]
        batch = Batch(accepts=tuple(Accept(message=None, runs=(run,)) for run in runs))
        return [run_id for item in (await ledger.commit(batch)).accepted for run_id in item.run_ids]

    await fresh("a", prefix="1")
    await fresh("b", "c", "d", prefix="1", seconds=10)

    await ledger.prune(replace(KEEP, dedup_age=5.0), at(6))
    by_age = await fresh("b", "a", prefix="2", seconds=20)
    await ledger.prune(replace(KEEP, dedup_count=2), at(21))
    by_number = await fresh("d", "a", "c", "b", prefix="3", seconds=30)

    assert (["2a"], ["3c", "3b"]) == (by_age, by_number)


async def test_a_purge_takes_all_that_belongs_to_a_run(ledger: Ledger) -> None:
    """Finished runs by id, with attempts and publications; others stay."""
    await ended(ledger, "r1", 0, dead_letter=True, sent=False)
    await ended(ledger, "r2", 0, sent=False)
    await ledger.commit(accepted("r3"))

    gone = await ledger.purge(["r1", "r1", "r3", "none"])

    unsent = await ledger.unsent(after_seq=0, limit=9)
    assert (1, ["r2", "r3"]) == (gone, await names(ledger))
    assert ["e-r2"] == [row.publication.event_id for row in unsent]
    assert {"temperature": {"queued": 1, "succeeded": 1, "failed": 1}} == await ledger.counts()
    assert 0 == await ledger.purge([])


async def test_commits_go_on_while_much_is_deleted(tmp_path: Path) -> None:
    """Pruning thousands of runs in steps lets commits through, loses nothing and keeps what is new."""
    ledger = SqliteLedger(tmp_path / "ledger.db", synchronous="normal")
    await ledger.open()
    for start in range(0, 10_000, 1000):
        runs = [f"r{number:05}" for number in range(start, start + 1000)]
        await ledger.commit(accepted(*runs, state=RunState.RUNNING))
        await ledger.commit(finished(*(finish(name) for name in runs)))

    pruning = asyncio.ensure_future(ledger.prune(replace(KEEP, runs_age=1.0), at(100)))
    committed: list[str] = []
    while not pruning.done():
        name = f"new{len(committed):05}"
        await ledger.commit(accepted(name))
        await ledger.commit(claim(name))
        await ledger.commit(finished(finish(name, finished_at=at(100))))
        committed.append(name)

    gone = await pruning
    left = await names(ledger)
    await ledger.close()
    assert (10_000, committed) == (gone, left)
    assert len(committed) >= 3


async def test_nothing_is_kept_for_ever_without_need(ledger: Ledger) -> None:
    """With everything finished, sent and old, nothing is left of a busy day."""
    for number in range(20):
        await ended(ledger, f"r{number}", number, dead_letter=number % 3 == 0)
    command = new_run("r-command", state=RunState.RUNNING)
    await ledger.commit(Batch(accepts=(Accept(message=None, runs=(replace(command, cause=Cause.COMMAND),)),)))
    await ledger.commit(finished(finish("r-command")))

    gone = await ledger.prune(RetentionPolicy(runs_age=0, dead_letters_age=0), at(3600))

    assert (21, []) == (gone, await names(ledger))
