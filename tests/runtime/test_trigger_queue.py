"""A trigger's queue against a list that is searched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fp_events.domain.run import Cause
from fp_events.runtime.entry import ORDINARY, Entry, Oddities
from fp_events.runtime.overrides import Overrides
from fp_events.runtime.trigger_queue import TriggerQueue


def entry(number: int, priority: int) -> Entry:
    """A run; later numbers are made later."""
    return Entry(
        run_id=str(number),
        pipeline="a",
        cause=Cause.COMMAND,
        trigger=None,
        trigger_topic="",
        key=None,
        captures={},
        request=None,
        message=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        odd=Oddities(overrides=Overrides(priority=priority)) if priority else ORDINARY,
    )


def priority(each: Entry) -> int:
    """Of a run, 0 where its request says nothing."""
    return each.odd.overrides.priority if each.odd.overrides is not None else 0


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["put", "pop", "discard", "discard"]), st.integers(0, 7)), max_size=60))
def test_the_first_of_the_highest_priority_goes_first(steps: list[tuple[str, int]]) -> None:
    """Whoever leaves from the middle, and comes back, stands behind those who stayed."""
    runs = [entry(number, (0, 0, 0, 1, 2)[number % 5]) for number in range(8)]
    queue, expected = TriggerQueue(limit=1), list[Entry]()

    for step, number in steps:
        if step == "put" and runs[number] not in expected:
            queue.put(runs[number])
            expected.append(runs[number])
        elif step == "discard":
            queue.discard(runs[number])
            expected = [each for each in expected if each is not runs[number]]
        elif step == "pop" and expected:
            first = max(expected, key=priority)
            expected.remove(first)
            assert first is queue.pop()
        assert len(expected) == queue.waiting
        assert (not expected) == (queue.oldest() is None)

    while expected:
        expected.remove(found := queue.pop())
        assert all(priority(found) >= priority(each) for each in expected)


def test_runs_that_left_do_not_keep_their_messages() -> None:
    """Of thousands that end while they wait, some hundreds are held at the most."""
    queue = TriggerQueue(limit=1)
    runs = [entry(number, number % 2) for number in range(10_000)]
    for each in runs:
        queue.put(each)

    for each in runs[:-1]:
        queue.discard(each)

    assert len(queue._runs) + len(queue._urgent) <= 102
    assert runs[-1] is queue.oldest() is queue.pop()
