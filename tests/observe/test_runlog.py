"""How finished runs are told of, at low rates and at high ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fp_events.domain.observation import RetryRecord, RunRecord
from fp_events.domain.run import Cause, Failure, Outcome
from fp_events.observe.logging import configure
from fp_events.observe.runlog import LINES_PER_SECOND, RunLog

Events = Callable[[], list[dict[str, Any]]]

AT = datetime(2026, 3, 1, tzinfo=UTC)
SUCCEEDED = RunRecord(
    run_id="r1",
    pipeline="heat",
    outcome=Outcome.SUCCEEDED,
    cause=Cause.MESSAGE,
    trigger="plant/{line}/temperature",
    key="line1",
    attempt=1,
    version="v1",
    created_at=AT,
    finished_at=AT + timedelta(seconds=2),
    duration=0.0125,
    failure=None,
    values=b'{"payload": "of the run"}',
)
FAILED = replace(
    SUCCEEDED, outcome=Outcome.FAILED, failure=Failure(type="builtins.ValueError", message="too hot", node="alert")
)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runs(stream: io.StringIO, clock: Clock) -> RunLog:
    configure("INFO", "json", stream=stream, pipelines={"quiet": "ERROR"})
    return RunLog(clock=clock)


def test_a_run_has_a_line_without_its_payload(runs: RunLog, events: Events) -> None:
    """Everything that identifies the run, and nothing that it carried."""
    runs.finished(SUCCEEDED)
    (event,) = events()
    del event["timestamp"]
    assert event == {
        "level": "info",
        "event": "run_finished",
        "run_id": "r1",
        "pipeline": "heat",
        "outcome": "succeeded",
        "attempt": 1,
        "duration_ms": 12.5,
        "age_ms": 2000.0,
        "cause": "message",
        "trigger": "plant/{line}/temperature",
        "key": "line1",
    }


@pytest.mark.parametrize(
    ("outcome", "level"),
    [("failed", "error"), ("timed_out", "error"), ("rejected", "warning"), ("expired", "warning"), ("skipped", "info")],
)
def test_a_bad_end_has_its_level_and_error(runs: RunLog, events: Events, outcome: str, level: str) -> None:
    """The level tells whether somebody should look; the error names the node."""
    runs.finished(replace(FAILED, outcome=Outcome(outcome)))
    event = events()[0]
    assert (level, "builtins.ValueError: too hot", "alert") == (event["level"], event["error"], event["node"])


def test_above_twenty_a_second_runs_are_summed_up(runs: RunLog, events: Events, clock: Clock) -> None:
    """The first twenty singly, the rest in one line per pipeline, with counts and durations."""
    for number in range(LINES_PER_SECOND + 101):
        runs.finished(replace(SUCCEEDED, duration=number / 1000))
    runs.finished(replace(SUCCEEDED, pipeline="other"))
    clock.now += 1.0
    runs.flush()
    *singles, heat, other = events()
    assert ["run_finished"] * LINES_PER_SECOND == [event["event"] for event in singles]
    assert ("runs_finished", "heat", 101, 101, 70.0, 120.0) == tuple(
        heat[name] for name in ("event", "pipeline", "runs", "succeeded", "p50_ms", "max_ms")
    )
    assert ("other", 1) == (other["pipeline"], other["runs"])


def test_failures_keep_their_lines_under_load(runs: RunLog, events: Events) -> None:
    """A flood of good runs does not swallow a bad one."""
    for _ in range(1000):
        runs.finished(SUCCEEDED)
    runs.finished(replace(FAILED, run_id="bad"))
    assert "bad" == events()[-1]["run_id"]


def test_a_flood_of_failures_is_summed_up_with_the_first_error(runs: RunLog, events: Events) -> None:
    """Twenty singly, then counts by outcome and the first of the errors that were not shown."""
    for number in range(LINES_PER_SECOND + 50):
        failure = Failure(type="builtins.ValueError", message=f"number {number}")
        runs.finished(replace(FAILED, failure=failure))
    runs.finished(replace(FAILED, outcome=Outcome.REJECTED))
    runs.flush()
    *singles, summed = events()
    assert LINES_PER_SECOND == len(singles)
    assert ("error", 50, 1, "builtins.ValueError: number 20") == tuple(
        summed[name] for name in ("level", "failed", "rejected", "first_error")
    )


def test_the_next_second_starts_anew(runs: RunLog, events: Events, clock: Clock) -> None:
    """Without a call of `flush`, the next run closes the second."""
    for _ in range(LINES_PER_SECOND + 5):
        runs.finished(SUCCEEDED)
    clock.now += 1.0
    runs.finished(replace(SUCCEEDED, run_id="next"))
    summed, single = events()[-2:]
    assert (5, "next") == (summed["runs"], single["run_id"])


def test_nothing_is_written_where_nothing_happened(runs: RunLog, events: Events) -> None:
    """An idle daemon is silent."""
    runs.flush()
    assert [] == events()


def test_retries_are_told_and_counted(runs: RunLog, events: Events) -> None:
    """They share the lines of failures."""
    retry = RetryRecord(run_id="r1", pipeline="heat", attempt=2, failure=FAILED.failure, delay=1.5)
    for _ in range(LINES_PER_SECOND + 3):
        runs.retrying(retry)
    runs.flush()
    first, summed = events()[0], events()[-1]
    assert ("warning", "run_retrying", 2, 1.5) == tuple(
        first[name] for name in ("level", "event", "attempt", "delay_s")
    )
    assert ("warning", 0, 3) == (summed["level"], summed["runs"], summed["retries"])


def test_the_pipelines_level_holds(runs: RunLog, events: Events) -> None:
    """A quiet pipeline tells of its failures only; a run with a level of its own is told of."""
    quiet = replace(SUCCEEDED, pipeline="quiet")
    runs.finished(quiet)
    runs.finished(replace(FAILED, pipeline="quiet"))
    runs.finished(replace(quiet, run_id="watched", log_level="INFO"))
    assert [("failed", "r1"), ("succeeded", "watched")] == [(event["outcome"], event["run_id"]) for event in events()]


def test_long_error_messages_are_cut(runs: RunLog, events: Events) -> None:
    """An exception that quotes its input does not bring a payload into the log."""
    runs.finished(replace(FAILED, failure=Failure(type="E", message="x" * 10_000)))
    assert 301 == len(events()[0]["error"])
