"""What every ledger does with a batch."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fp_events.domain.errors import StorageError, UsageError
from fp_events.domain.message import Message, Properties, Publication
from fp_events.domain.ports import Ledger
from fp_events.domain.records import (
    Accept,
    Accepted,
    Batch,
    Committed,
    Finish,
    NewRun,
    Refused,
    Reopen,
    RunQuery,
    StateWrite,
    StoredRun,
    TransportKey,
    Wait,
)
from fp_events.domain.run import Cause, Outcome, RunState

from .conftest import House
from .kit import (
    FACTS,
    NOON,
    accept,
    accepted,
    at,
    claim,
    finish,
    finished,
    message,
    new_run,
    publication,
    wait,
)


async def stored(ledger: Ledger, run_id: str) -> StoredRun:
    run = await ledger.run(run_id)
    assert run is not None
    return run


async def failed(ledger: Ledger, run_id: str) -> None:
    """Bring a run to the end as a dead letter."""
    await ledger.commit(accepted(run_id, state=RunState.RUNNING))
    end = finish(run_id, outcome=Outcome.FAILED, facts=FACTS, dead_letter=True)
    assert frozenset() == (await ledger.commit(finished(end))).stale


async def test_an_accepted_message_comes_back_whole(ledger: Ledger) -> None:
    """What was accepted is found again with every field."""
    whole = Message(
        topic="plant/\u202eline7/\U0001f321",
        payload=bytes(range(256)),
        qos=2,
        retain=True,
        properties=Properties(
            content_type="application/json",
            response_topic="answers",
            correlation_data=b"\x00\xff",
            message_expiry=60,
            user=(("a", "1"), ("a", "2"), ("ü", "")),
        ),
        received_at=NOON,
    )
    run = NewRun(
        run_id="r1",
        pipeline="temperature",
        cause=Cause.COMMAND,
        trigger=3,
        trigger_topic="plant/{line}/#",
        key="line7",
        state=RunState.WAITING,
        captures={"line": "line7"},
        request=b'{"inputs": {}}',
        created_at=NOON,
        due_at=at(1),
        expires_at=at(2),
        deadline_at=at(3),
    )

    answer = await ledger.commit(Batch(accepts=(Accept(message=whole, runs=(run,)),)))

    (found,) = await ledger.unfinished(after_seq=0, limit=10)
    assert Committed(accepted=(Accepted(message_id=1, run_ids=("r1",)),)) == answer
    assert whole == found.message
    expected = StoredRun(
        seq=1,
        run_id="r1",
        pipeline="temperature",
        cause=Cause.COMMAND,
        state=RunState.WAITING,
        outcome=None,
        trigger=3,
        trigger_topic="plant/{line}/#",
        key="line7",
        captures={"line": "line7"},
        request=b'{"inputs": {}}',
        attempt=0,
        attempt_base=0,
        crashes=0,
        alone=False,
        version="",
        created_at=NOON,
        due_at=at(1),
        expires_at=at(2),
        deadline_at=at(3),
        started_at=None,
        finished_at=None,
        duration=0.0,
        dead_letter=False,
        values=None,
        message=whole,
        attempts=(),
    )
    assert expected == found


async def test_a_message_serves_several_runs(ledger: Ledger) -> None:
    """A message that matched two triggers is one row with two runs."""
    answer = await ledger.commit(Batch(accepts=(accept(new_run("r1"), new_run("r2", pipeline="other")),)))

    runs = await ledger.unfinished(after_seq=0, limit=10)
    assert (Accepted(message_id=1, run_ids=("r1", "r2")),) == answer.accepted
    assert [("r1", message()), ("r2", message())] == [(run.run_id, run.message) for run in runs]


async def test_a_run_may_have_no_message_and_a_message_no_run(ledger: Ledger) -> None:
    """A command's run names no message; a message that is only recorded has a row."""
    batch = Batch(accepts=(Accept(message=None, runs=(new_run("r1"),)), accept(), Accept(message=None, runs=())))

    answer = await ledger.commit(batch)

    expected = (
        Accepted(message_id=0, run_ids=("r1",)),
        Accepted(message_id=1, run_ids=()),
        Accepted(message_id=0, run_ids=()),
    )
    assert expected == answer.accepted
    assert (await stored(ledger, "r1")).message is None


async def test_an_identity_is_accepted_once(ledger: Ledger) -> None:
    """A second run of the same identity is a duplicate, in the same burst or in a later one."""
    first = await ledger.commit(
        Batch(
            accepts=(
                accept(new_run("r1", dedup_key="a")),
                accept(new_run("r2", dedup_key="a"), new_run("r3", dedup_key="b")),
            )
        )
    )
    second = await ledger.commit(Batch(accepts=(accept(new_run("r4", dedup_key="a")), accept(new_run("r5")))))

    expected = (
        Accepted(message_id=1, run_ids=("r1",)),
        Accepted(message_id=2, run_ids=("r3",), duplicates=("r2",)),
        Accepted(message_id=0, run_ids=(), duplicates=("r4",)),
        Accepted(message_id=3, run_ids=("r5",)),
    )
    assert expected == first.accepted + second.accepted
    assert ["r1", "r3", "r5"] == [run.run_id for run in await ledger.unfinished(after_seq=0, limit=10)]


async def test_a_redelivery_is_recognised_until_it_is_confirmed(ledger: Ledger) -> None:
    """Same session, packet id, topic and payload above the mark: nothing is stored."""
    key = TransportKey(1, 7)

    async def again(run_id: str, payload: bytes = b"21.5", key: TransportKey = key) -> Accepted:
        delivery = accept(new_run(run_id), payload=payload, transport_key=key, redelivered=True)
        return (await ledger.commit(Batch(accepts=(delivery,)))).accepted[0]

    await ledger.commit(Batch(accepts=(accept(new_run("r1"), transport_key=key),)))

    assert Accepted(message_id=1, run_ids=(), duplicates=("r2",)) == await again("r2")
    assert Accepted(message_id=2, run_ids=("r3",)) == await again("r3", key=TransportKey(1, 8))
    await ledger.commit(Batch(confirmed_message_id=1))
    assert Accepted(message_id=3, run_ids=("r4",)) == await again("r4")
    assert Accepted(message_id=4, run_ids=("r5",)) == await again("r5", payload=b"21.6")


async def test_a_redelivery_in_the_same_burst_is_recognised(ledger: Ledger) -> None:
    """The message may have come a moment before, not yet stored."""
    key = TransportKey(1, 7)
    first = accept(new_run("r1"), transport_key=key)
    second = accept(new_run("r2"), transport_key=key, redelivered=True)

    answer = await ledger.commit(Batch(accepts=(first, second)))

    expected = (Accepted(message_id=1, run_ids=("r1",)), Accepted(message_id=1, run_ids=(), duplicates=("r2",)))
    assert expected == answer.accepted


async def test_a_redelivery_is_recognised_after_a_crash(house: House, ledger: Ledger) -> None:
    """The acknowledgement was lost with the process: the broker delivers again."""
    key = TransportKey(4, 7)
    await ledger.commit(Batch(accepts=(accept(new_run("r1"), transport_key=key),)))

    ledger = await house.crash()
    await ledger.open()
    answer = await ledger.commit(Batch(accepts=(accept(new_run("r2"), transport_key=key, redelivered=True),)))

    assert (Accepted(message_id=1, run_ids=(), duplicates=("r2",)),) == answer.accepted


async def test_a_run_is_accepted_once(ledger: Ledger) -> None:
    """A run id that is stored already is an error of the caller, and nothing of its batch is kept."""
    await ledger.commit(accepted("r1"))

    with pytest.raises(ValueError, match="already stored"):
        await ledger.commit(Batch(accepts=(accept(new_run("r2")), accept(new_run("r1"))), settings={"a": b"1"}))
    with pytest.raises(ValueError, match="cannot be accepted as finished"):
        await ledger.commit(accepted("r3", state=RunState.FINISHED))

    assert ["r1"] == [run.run_id for run in await ledger.unfinished(after_seq=0, limit=10)]
    assert {"temperature": {"queued": 1}} == await ledger.counts()


async def test_a_wrong_batch_does_not_harm_its_neighbours(ledger: Ledger) -> None:
    """Batches that wait together are kept or refused one by one."""
    await ledger.commit(accepted("r1"))

    results = await asyncio.gather(
        *(ledger.commit(accepted(run_id)) for run_id in ("r2", "r1", "r3")), return_exceptions=True
    )

    assert [Committed, ValueError, Committed] == [type(result) for result in results]
    assert ["r1", "r2", "r3"] == [run.run_id for run in await ledger.unfinished(after_seq=0, limit=10)]


async def test_a_wrong_batch_does_not_harm_what_is_remembered(ledger: Ledger) -> None:
    """Runs of a transaction that was undone are still this owner's, at the attempt at which they are."""
    await ledger.commit(accepted("r1", "r2", state=RunState.RUNNING))
    await ledger.commit(wait("r2"))

    results = await asyncio.gather(
        ledger.commit(finished(finish("r1"))),
        ledger.commit(claim("r2", 2)),
        ledger.commit(accepted("r1")),
        ledger.commit(finished(finish("r2", 1))),
        return_exceptions=True,
    )
    last = await ledger.commit(finished(finish("r1"), finish("r2", 2)))

    stale = [result.stale for result in results if isinstance(result, Committed)]
    assert [frozenset(), frozenset(), frozenset({"r2"}), frozenset({"r1"})] == [*stale, last.stale]
    assert isinstance(results[2], ValueError)
    assert {"temperature": {"succeeded": 2}} == await ledger.counts()


async def test_more_runs_than_are_remembered(ledger: Ledger) -> None:
    """However many runs are under way, each one's end finds it."""
    names = [f"r{number:05}" for number in range(34_000)]
    for start in range(0, len(names), 1000):
        await ledger.commit(accepted(*names[start : start + 1000], state=RunState.RUNNING))
    last = names[-300:]

    first = await ledger.commit(finished(*(finish(name) for name in last)))
    again = await ledger.commit(finished(*(finish(name) for name in last)))

    assert (frozenset(), frozenset(last)) == (first.stale, again.stale)
    assert {"temperature": {"running": 33_700, "succeeded": 300}} == await ledger.counts()


async def test_a_publication_replaces_its_namesake(ledger: Ledger) -> None:
    """Among many new publications, one whose id is still unsent takes the place of the older one."""
    names = [f"r{number:03}" for number in range(300)]
    await ledger.commit(accepted("old", *names, state=RunState.RUNNING))
    await ledger.commit(finished(finish("old", publications=(publication("e-r150", b"old"),))))

    await ledger.commit(finished(*(finish(name, publications=(publication(f"e-{name}"),)) for name in names)))

    rows = await ledger.unsent(after_seq=0, limit=1000)
    assert [f"e-{name}" for name in names] == [row.publication.event_id for row in rows]
    assert {b"hot"} == {row.publication.payload for row in rows}


async def test_a_finished_run_is_neither_due_nor_alone(ledger: Ledger) -> None:
    """What concerned its start is over."""
    await ledger.commit(accepted("r1", "r2"))
    await ledger.commit(claim("r1", alone=True))
    await ledger.commit(claim("r2"))
    await ledger.commit(wait("r2", due_at=at(5)))
    before = [await stored(ledger, name) for name in ("r1", "r2")]

    await ledger.commit(finished(finish("r1"), finish("r2", outcome=Outcome.CANCELLED)))

    after = [await stored(ledger, name) for name in ("r1", "r2")]
    assert [(True, None), (False, at(5))] == [(run.alone, run.due_at) for run in before]
    assert [(False, None), (False, None)] == [(run.alone, run.due_at) for run in after]


async def test_commits_at_once_are_all_kept(ledger: Ledger) -> None:
    """Batches added while another is being written each get their own answer."""
    answers = await asyncio.gather(*(ledger.commit(accepted(f"r{n}", f"s{n}")) for n in range(50)))

    assert [(f"r{n}", f"s{n}") for n in range(50)] == [
        tuple(run_id for item in answer.accepted for run_id in item.run_ids) for answer in answers
    ]
    assert 100 == len(await ledger.unfinished(after_seq=0, limit=1000))


async def test_a_burst_of_any_size_is_stored(ledger: Ledger) -> None:
    """Bursts are cut into statements; the cuts show nowhere."""
    names = [f"r{n:04}" for n in range(777)]
    await ledger.commit(accepted(*names, state=RunState.RUNNING))
    ends = tuple(finish(name, publications=(publication(f"e-{name}"),)) for name in names)

    answer = await ledger.commit(finished(*ends))
    unsent = await ledger.unsent(after_seq=0, limit=1000)
    await ledger.commit(Batch(sent=tuple(row.publication.event_id for row in unsent)))

    assert frozenset() == answer.stale
    assert [f"e-{name}" for name in names] == [row.publication.event_id for row in unsent]
    assert [] == list(await ledger.unsent(after_seq=0, limit=1000))
    assert {"temperature": {"succeeded": 777}} == await ledger.counts()


async def test_a_claim_makes_a_run_run(ledger: Ledger) -> None:
    """QUEUED to RUNNING, with the attempt's number; due times are over."""
    await ledger.commit(Batch(accepts=(accept(new_run("r1", state=RunState.WAITING, due_at=at(5))),)))

    answer = await ledger.commit(claim("r1", 1, alone=True))

    run = await stored(ledger, "r1")
    assert frozenset() == answer.stale
    assert (RunState.RUNNING, 1, True, None) == (run.state, run.attempt, run.alone, run.due_at)


@pytest.mark.parametrize("attempt", [0, 1])
async def test_a_claim_of_a_running_run_is_stale(ledger: Ledger, attempt: int) -> None:
    """This owner runs that attempt already."""
    await ledger.commit(accepted("r1", state=RunState.RUNNING))

    assert {"r1"} == (await ledger.commit(claim("r1", attempt))).stale


async def test_a_claim_of_nothing_or_of_the_past_is_stale(ledger: Ledger) -> None:
    """Unknown and finished runs cannot be claimed; the rest of the batch is kept."""
    await ledger.commit(accepted("r1", "r2", state=RunState.RUNNING))
    await ledger.commit(finished(finish("r1")))

    answer = await ledger.commit(Batch(claims=(*claim("r1", 2).claims, *claim("none").claims, *claim("r2", 2).claims)))

    assert {"r1", "none"} == answer.stale
    assert 2 == (await stored(ledger, "r2")).attempt


async def test_a_failed_attempt_waits_for_the_next(ledger: Ledger) -> None:
    """RUNNING to WAITING keeps what went wrong, until the next claim."""
    await ledger.commit(accepted("r1", state=RunState.RUNNING))

    answer = await ledger.commit(wait("r1", 1, due_at=at(9)))

    run = await stored(ledger, "r1")
    assert frozenset() == answer.stale
    assert (RunState.WAITING, at(9), "v1") == (run.state, run.due_at, run.version)
    assert [(1, FACTS)] == [(attempt.number, attempt.facts) for attempt in run.attempts]
    assert {"r1"} == (await ledger.commit(wait("r1", 1))).stale
    assert {"r1"} == (await ledger.commit(claim("r1", 1))).stale
    assert frozenset() == (await ledger.commit(claim("r1", 2))).stale
    assert {"r1"} == (await ledger.commit(wait("r1", 1))).stale


async def test_a_finish_writes_everything_it_brings(ledger: Ledger) -> None:
    """Result, state, publications and the failed attempt belong to one transaction."""
    await ledger.commit(accepted("r1", state=RunState.RUNNING))
    whole = Publication(
        event_id="e1",
        topic="alerts/line7",
        payload=b"\x00hot",
        qos=1,
        retain=True,
        properties=Properties(user=(("run_id", "r1"),)),
    )

    answer = await ledger.commit(
        finished(
            finish(
                "r1",
                outcome=Outcome.FAILED,
                finished_at=at(2),
                publications=(whole, publication("e2")),
                state=StateWrite(pipeline="temperature", key="line7", value=b"window"),
                facts=FACTS,
                dead_letter=True,
            )
        )
    )

    run = await stored(ledger, "r1")
    unsent = await ledger.unsent(after_seq=0, limit=10)
    (state,) = await ledger.list_states(None, limit=10)
    assert frozenset() == answer.stale
    assert (RunState.FINISHED, Outcome.FAILED, True) == (run.state, run.outcome, run.dead_letter)
    assert (at(2), at(2), 0.5, "v1") == (run.started_at, run.finished_at, run.duration, run.version)
    assert b'{"alert": "hot"}' == run.values
    assert [FACTS] == [attempt.facts for attempt in run.attempts]
    assert [whole, publication("e2")] == [row.publication for row in unsent]
    assert [("r1", "temperature", at(2))] * 2 == [(row.run_id, row.pipeline, row.created_at) for row in unsent]
    assert (b"window", "r1", at(2)) == (state.value, state.run_id, state.updated_at)
    assert [] == list(await ledger.unfinished(after_seq=0, limit=10))
    assert {"temperature": {"failed": 1, "dead_letters": 1}} == await ledger.counts()


async def test_what_happened_to_nodes_is_kept_with_its_attempt(ledger: Ledger) -> None:
    """Each attempt has its own; a listing has none, and with its run it goes."""
    first, second = b'[["alert","failed",0.0,0.1,3,"ValueError"]]', b'[["alert","succeeded",0.0,0.1,1,""]]'
    await ledger.commit(accepted("r1", "r2", state=RunState.RUNNING))
    facts = replace(FACTS, nodes=first)
    await ledger.commit(Batch(waits=(Wait(run_id="r1", attempt=1, due_at=NOON, facts=facts),)))
    await ledger.commit(claim("r1", 2))
    await ledger.commit(finished(replace(finish("r1", 2), nodes=second)))
    await ledger.commit(finished(finish("r2", outcome=Outcome.FAILED, facts=facts)))

    one, two = await stored(ledger, "r1"), await stored(ledger, "r2")
    listed = await ledger.runs(RunQuery())
    gone = await ledger.purge(["r1", "r2"])

    assert (second, [first]) == (one.nodes, [attempt.facts.nodes for attempt in one.attempts])
    assert (None, [first]) == (two.nodes, [attempt.facts.nodes for attempt in two.attempts])
    assert [None, None] == [run.nodes for run in listed]
    assert [None, None] == [run.attempts[-1].facts.nodes for run in listed]
    assert (2, None) == (gone, await ledger.run("r1"))


async def test_a_stale_finish_writes_nothing(ledger: Ledger) -> None:
    """A result of an attempt that is not the run's any more leaves no trace; its neighbour is kept."""
    await ledger.commit(accepted("r1", "r2", state=RunState.RUNNING))
    await ledger.commit(wait("r1"))
    await ledger.commit(claim("r1", 2))
    late = finish(
        "r1",
        1,
        publications=(publication("e1"),),
        state=StateWrite(pipeline="temperature", key="k", value=b"late"),
        facts=FACTS,
        dead_letter=True,
    )
    before = await stored(ledger, "r1")

    answer = await ledger.commit(finished(late, finish("r2", publications=(publication("e2"),))))

    assert {"r1"} == answer.stale
    assert before == await stored(ledger, "r1")
    assert ["e2"] == [row.publication.event_id for row in await ledger.unsent(after_seq=0, limit=10)]
    assert {} == await ledger.states([("temperature", "k")])
    assert {"temperature": {"running": 1, "succeeded": 1}} == await ledger.counts()


async def test_a_run_that_never_started_can_finish(ledger: Ledger) -> None:
    """Expired and cancelled runs end at the attempt they are at."""
    await ledger.commit(accepted("r1", "r2"))
    await ledger.commit(accepted("r3", state=RunState.RUNNING))
    await ledger.commit(wait("r3"))
    end = Finish(run_id="r1", attempt=0, outcome=Outcome.EXPIRED, finished_at=NOON)

    answer = await ledger.commit(
        finished(end, finish("r2", 1, outcome=Outcome.CANCELLED), finish("r3", 1, outcome=Outcome.CANCELLED))
    )

    run = await stored(ledger, "r1")
    assert {"r2"} == answer.stale
    assert (Outcome.EXPIRED, None, None) == (run.outcome, run.started_at, run.values)


async def test_the_lease_of_an_older_owner_is_over(house: House, ledger: Ledger) -> None:
    """After a crash the next owner may repeat the attempt; its own claim fences from then on."""
    await ledger.commit(accepted("r1", "r2", state=RunState.RUNNING))

    ledger = await house.crash()
    opened = await ledger.open()

    assert (2, {RunState.RUNNING: 2}) == (opened.epoch, opened.unfinished)
    assert {"r1"} == (await ledger.commit(finished(finish("r1", 1)))).stale
    assert frozenset() == (await ledger.commit(claim("r1", 1))).stale
    assert frozenset() == (await ledger.commit(claim("r2", 2))).stale
    assert {"r2"} == (await ledger.commit(finished(finish("r1", 1), finish("r2", 1)))).stale


async def test_only_a_crash_while_alone_counts(house: House, ledger: Ledger) -> None:
    """A crash blames the run that was alone in the process, and no bystander."""
    await ledger.commit(accepted("r1", "r2"))
    await ledger.commit(Batch(claims=(*claim("r1", alone=True).claims, *claim("r2").claims)))

    for attempt in (2, 3):
        ledger = await house.crash()
        await ledger.open()
        await ledger.commit(claim("r1", attempt, alone=True))
    ledger = await house.crash()
    await ledger.open()

    found = [(run.run_id, run.crashes, run.alone) for run in await ledger.unfinished(after_seq=0, limit=10)]
    assert [("r1", 3, False), ("r2", 0, False)] == found


async def test_an_orderly_end_is_no_crash(house: House, ledger: Ledger) -> None:
    """A run that was alone when the daemon was stopped is given back and not blamed."""
    await ledger.commit(accepted("r1"))
    await ledger.commit(claim("r1", alone=True))

    await ledger.close()
    opened = await ledger.open()

    run = await stored(ledger, "r1")
    assert (RunState.QUEUED, 1, 0, False) == (run.state, run.attempt, run.crashes, run.alone)
    assert ({RunState.QUEUED: 1}, {"temperature": {"queued": 1}}) == (opened.unfinished, await ledger.counts())
    assert {"r1"} == (await ledger.commit(claim("r1", 1))).stale
    assert frozenset() == (await ledger.commit(claim("r1", 2))).stale


async def test_an_orderly_end_gives_back_only_what_it_has_claimed(house: House, ledger: Ledger) -> None:
    """What was found running after a crash, and not claimed since, is still found running by the next owner."""
    await ledger.commit(accepted("r1", "r2", state=RunState.RUNNING))
    ledger = await house.crash()
    await ledger.open()
    await ledger.commit(claim("r2", 2))

    await ledger.close()
    await ledger.open()

    found = {run.run_id: run.state for run in await ledger.unfinished(after_seq=0, limit=10)}
    assert {"r1": RunState.RUNNING, "r2": RunState.QUEUED} == found


async def test_a_run_that_is_no_longer_alone_is_not_blamed(house: House, ledger: Ledger) -> None:
    """From then on others run beside it, and a crash may be theirs."""
    await ledger.commit(accepted("r1"))
    await ledger.commit(claim("r1", alone=True))

    await ledger.commit(Batch(no_longer_alone=("r1", "none")))

    ledger = await house.crash()
    await ledger.open()
    run = await stored(ledger, "r1")
    assert (RunState.RUNNING, 0, False) == (run.state, run.crashes, run.alone)


async def test_a_dead_letter_is_opened_again(ledger: Ledger) -> None:
    """An operator's retry keeps identity and attempts and starts counting from there; only once."""
    await failed(ledger, "r1")

    first = await ledger.commit(Batch(reopened=(Reopen(run_id="r1"),)))
    second = await ledger.commit(Batch(reopened=(Reopen(run_id="r1"), Reopen(run_id="none"))))

    run = await stored(ledger, "r1")
    assert (set(), {"r1", "none"}) == (set(first.stale), set(second.stale))
    assert (RunState.QUEUED, None, False) == (run.state, run.outcome, run.dead_letter)
    assert (1, 1, None, 1) == (run.attempt, run.attempt_base, run.finished_at, len(run.attempts))
    assert {"temperature": {"queued": 1}} == await ledger.counts()
    assert {"r1"} == (await ledger.commit(claim("r1", 1))).stale
    assert frozenset() == (await ledger.commit(claim("r1", 2))).stale


async def test_a_retry_has_no_deadline_that_is_over(ledger: Ledger) -> None:
    """A run that ended at its deadline would end again at once."""
    late = NewRun(
        run_id="r1",
        pipeline="temperature",
        cause=Cause.CALL,
        created_at=NOON,
        expires_at=at(1),
        deadline_at=at(2),
    )
    await ledger.commit(Batch(accepts=(Accept(message=None, runs=(late,)),)))
    await ledger.commit(finished(finish("r1", 0, outcome=Outcome.TIMED_OUT, dead_letter=True)))

    await ledger.commit(Batch(reopened=(Reopen(run_id="r1"),)))

    run = await stored(ledger, "r1")
    assert (None, None, None) == (run.due_at, run.expires_at, run.deadline_at)


async def test_success_cannot_be_opened_again(ledger: Ledger) -> None:
    """Only dead letters are retried."""
    await ledger.commit(accepted("r1", state=RunState.RUNNING))
    await ledger.commit(finished(finish("r1")))

    assert {"r1"} == (await ledger.commit(Batch(reopened=(Reopen(run_id="r1"),)))).stale


async def test_a_refused_publication_is_sent_again(ledger: Ledger) -> None:
    """It takes its old place among what is unsent."""
    await ledger.commit(accepted("r1", state=RunState.RUNNING))
    await ledger.commit(finished(finish("r1", publications=(publication("e0"), publication("e1")))))
    await ledger.commit(Batch(refused=(Refused(event_id="e0", reason="no"),)))

    await ledger.commit(Batch(resend=("e0", "none")))

    assert [] == list(await ledger.refused(limit=10))
    assert ["e0", "e1"] == [row.publication.event_id for row in await ledger.unsent(after_seq=0, limit=10)]


async def test_unsent_publications_come_within_bytes(ledger: Ledger) -> None:
    """At least one, and the one that reaches the bound is the last."""
    await ledger.commit(accepted("r1", state=RunState.RUNNING))
    publications = tuple(publication(f"e{i}", b"x" * 10) for i in range(4))
    await ledger.commit(finished(finish("r1", publications=publications)))

    for max_bytes, count in ((1, 1), (10, 1), (11, 2), (1000, 4)):
        assert count == len(await ledger.unsent(after_seq=0, limit=10, max_bytes=max_bytes))


async def test_a_refused_publication_is_listed_apart(ledger: Ledger) -> None:
    """Sent rows go, refused ones stay with their reason, unknown ids pass."""
    await ledger.commit(accepted("r1", state=RunState.RUNNING))
    await ledger.commit(finished(finish("r1", publications=tuple(publication(f"e{n}") for n in range(4)))))

    await ledger.commit(
        Batch(
            sent=("e1", "none"),
            refused=tuple(Refused(event_id=name, reason=f"not {name}") for name in ("e0", "e2", "other")),
        )
    )

    unsent = await ledger.unsent(after_seq=0, limit=10)
    refused = await ledger.refused(limit=10)
    assert ["e3"] == [row.publication.event_id for row in unsent]
    assert [("e2", "not e2"), ("e0", "not e0")] == [(row.publication.event_id, row.refused) for row in refused]


async def test_an_event_id_is_in_the_outbox_once(ledger: Ledger) -> None:
    """The newest publication of an event id replaces an older one."""
    await ledger.commit(accepted("r1", "r2", state=RunState.RUNNING))
    await ledger.commit(finished(finish("r1", publications=(publication("e1"), publication("e2")))))
    await ledger.commit(finished(finish("r2", publications=(publication("e1", b"newer"),))))

    unsent = await ledger.unsent(after_seq=0, limit=10)
    assert [("e2", b"hot", "r1"), ("e1", b"newer", "r2")] == [
        (row.publication.event_id, row.publication.payload, row.run_id) for row in unsent
    ]


async def test_pages_follow_each_other(ledger: Ledger) -> None:
    """Each page begins after the last row of the one before."""
    names = [f"r{n}" for n in range(5)]
    await ledger.commit(accepted(*names, state=RunState.RUNNING))
    runs = list(await ledger.unfinished(after_seq=0, limit=2))
    while page := await ledger.unfinished(after_seq=runs[-1].seq, limit=2):
        runs += page
    await ledger.commit(finished(*(finish(name, publications=(publication(name),)) for name in names)))
    rows = list(await ledger.unsent(after_seq=0, limit=2))
    while more := await ledger.unsent(after_seq=rows[-1].seq, limit=2):
        rows += more

    assert names == [run.run_id for run in runs]
    assert names == [row.publication.event_id for row in rows]


async def test_state_is_kept_by_pipeline_and_key(ledger: Ledger) -> None:
    """The last write of a key counts; None deletes it; keys without state are left out."""

    def write(pipeline: str, key: str, value: bytes | None) -> StateWrite:
        return StateWrite(pipeline=pipeline, key=key, value=value)

    await ledger.commit(Batch(states=(write("a", "1", b"x"), write("a", "2", b""), write("b", "1", b"z"))))
    await ledger.commit(Batch(states=(write("a", "1", None), write("a", "1", b"y"), write("b", "1", None))))

    many = [("a", str(n)) for n in range(300)]
    assert {("a", "1"): b"y", ("a", "2"): b""} == await ledger.states([*many, ("b", "1")])
    assert {} == await ledger.states([])
    assert [("a", "2", b"", "")] == [
        (row.pipeline, row.key, row.value, row.run_id) for row in await ledger.list_states("a", limit=9, after="1")
    ]
    assert [] == list(await ledger.list_states("b", limit=9))


async def test_settings_survive(house: House, ledger: Ledger) -> None:
    """Settings come back at the next open; None deletes one."""
    await ledger.commit(Batch(settings={"paused": b"[]", "session": b"7"}))
    await ledger.commit(Batch(settings={"paused": None, "session": b"8"}))

    ledger = await house.crash()

    assert {"session": b"8"} == (await ledger.open()).settings


async def test_everything_committed_survives_a_crash(house: House, ledger: Ledger) -> None:
    """The next owner finds runs, publications and state as they were."""
    await ledger.commit(accepted("r1", "r2", state=RunState.RUNNING))
    await ledger.commit(finished(finish("r1", publications=(publication("e1"),))))
    before = [await stored(ledger, name) for name in ("r1", "r2")]

    ledger = await house.crash()
    opened = await ledger.open()

    assert (2, {RunState.RUNNING: 1}, 1) == (opened.epoch, opened.unfinished, opened.unsent)
    assert before == [await stored(ledger, name) for name in ("r1", "r2")]
    answer = await ledger.commit(accepted("r3"))
    assert (3, 3) == (answer.accepted[0].message_id, (await stored(ledger, "r3")).seq)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (RunQuery(), ["r6", "r5", "r4", "r3", "r2", "r1"]),
        (RunQuery(limit=2), ["r6", "r5"]),
        (RunQuery(before_seq=3), ["r2", "r1"]),
        (RunQuery(pipeline="a"), ["r5", "r3", "r1"]),
        (RunQuery(pipeline="a", states=frozenset({RunState.QUEUED})), ["r5"]),
        (RunQuery(states=frozenset({RunState.QUEUED, RunState.FINISHED})), ["r6", "r5", "r4", "r3", "r2"]),
        (RunQuery(states=frozenset({RunState.RUNNING})), ["r1"]),
        (RunQuery(outcomes=frozenset({Outcome.FAILED})), ["r4", "r3"]),
        (RunQuery(pipeline="a", outcomes=frozenset({Outcome.FAILED})), ["r3"]),
        (RunQuery(outcomes=frozenset({Outcome.FAILED, Outcome.SUCCEEDED})), ["r4", "r3", "r2"]),
        (RunQuery(dead_letters=True), ["r4"]),
        (RunQuery(dead_letters=True, pipeline="a"), []),
        (RunQuery(key="k2"), ["r2"]),
        (RunQuery(created_after=at(3), created_before=at(6)), ["r5", "r4"]),
    ],
)
async def test_runs_are_found_by_what_they_are(ledger: Ledger, query: RunQuery, expected: list[str]) -> None:
    """Every filter of a query, newest first."""
    states = [RunState.RUNNING] * 4 + [RunState.QUEUED] * 2
    for number, state in enumerate(states, start=1):
        run = new_run(
            f"r{number}",
            pipeline="a" if number % 2 else "b",
            key=f"k{number}",
            state=state,
            created_at=at(number),
        )
        await ledger.commit(Batch(accepts=(accept(run),)))
    await ledger.commit(
        finished(
            finish("r2"),
            finish("r3", outcome=Outcome.FAILED),
            finish("r4", outcome=Outcome.FAILED, dead_letter=True, facts=FACTS),
        )
    )

    assert expected == [run.run_id for run in await ledger.runs(query)]


async def test_a_listing_is_short(ledger: Ledger) -> None:
    """Listings leave out messages and all failed attempts but the last."""
    await ledger.commit(accepted("r1", state=RunState.RUNNING))
    for attempt in (1, 2):
        await ledger.commit(wait("r1", attempt))
        await ledger.commit(claim("r1", attempt + 1))

    (listed,) = await ledger.runs(RunQuery())
    (whole,) = await ledger.unfinished(after_seq=0, limit=1)
    assert (None, [2]) == (listed.message, [attempt.number for attempt in listed.attempts])
    assert [1, 2] == [attempt.number for attempt in whole.attempts]


async def test_a_run_is_found_by_the_beginning_of_its_id(ledger: Ledger) -> None:
    """Unique beginnings will do; an exact id wins over being a beginning."""
    await ledger.commit(accepted("abc", "abcd", "abx", "\U0010ffff"))

    assert "abc" == (await stored(ledger, "abc")).run_id
    assert "abx" == (await stored(ledger, "abx")).run_id
    assert "abcd" == (await stored(ledger, "abcd")).run_id
    assert await ledger.run("b") is None
    with pytest.raises(UsageError, match="several runs have an id that begins with 'ab'; give more of it"):
        await ledger.run("ab")


async def test_outcomes_are_counted_by_pipeline(ledger: Ledger) -> None:
    """Runs by state, by outcome and as dead letters."""
    await ledger.commit(accepted("a1", "a2", "a3", pipeline="a", state=RunState.RUNNING))
    await ledger.commit(accepted("b1", pipeline="b"))
    await ledger.commit(finished(finish("a1"), finish("a2", outcome=Outcome.REJECTED, dead_letter=True)))
    await ledger.commit(wait("a3"))

    expected = {"a": {"waiting": 1, "succeeded": 1, "rejected": 1, "dead_letters": 1}, "b": {"queued": 1}}
    assert expected == await ledger.counts()


async def test_a_closed_ledger_answers_nothing(ledger: Ledger) -> None:
    """Closing twice is harmless; asking afterwards is an error."""
    await ledger.close()
    await ledger.close()

    with pytest.raises(StorageError, match="the ledger is not open"):
        await ledger.commit(accepted("r1"))
    assert "" == ledger.problem


async def test_a_caller_may_give_up_waiting(ledger: Ledger) -> None:
    """A commit whose caller was cancelled is kept all the same."""
    task = asyncio.ensure_future(ledger.commit(accepted("r1")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ledger.commit(accepted("r2"))

    assert ["r1", "r2"] == [run.run_id for run in await ledger.unfinished(after_seq=0, limit=9)]


async def test_times_keep_their_microseconds(ledger: Ledger) -> None:
    """Every microsecond comes back, and in UTC."""
    moment = NOON + timedelta(microseconds=1)
    await ledger.commit(Batch(accepts=(accept(new_run("r1", created_at=moment)),)))

    run = await stored(ledger, "r1")
    assert (moment, timedelta(0)) == (run.created_at, run.created_at.utcoffset())
