"""Steering runs against a daemon on a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .conftest import Ended

Fp = Callable[..., Ended]
TRIGGER = ("trigger", "counting", "-i", "value=1", "-i", "source=runs")


def shown(fp: Fp, run_id: str) -> dict[str, Any]:
    """A run, as JSON."""
    found: dict[str, Any] = fp("runs", "show", run_id, "--json").json
    return found


def finished(fp: Fp, run_id: str) -> dict[str, Any]:
    """A run, once it has ended."""
    limit = time.monotonic() + 20
    while (run := shown(fp, run_id))["state"] != "finished":
        assert time.monotonic() < limit, run
        time.sleep(0.05)
    return run


def test_a_run_is_cancelled_by_its_id(fp: Fp) -> None:
    """Again is no error; one that has ended, and one that is not there, are."""
    run_id = fp(*TRIGGER, "--run-in", "1h30m").out.strip()
    assert ("waiting", None) == (shown(fp, run_id)["state"], shown(fp, run_id)["outcome"])
    assert (0, "1 run cancelled\n") == ((ended := fp("runs", "cancel", run_id)).code, ended.err)
    assert "1 run was cancelled before\n" == fp("runs", "cancel", run_id).err
    assert "cancelled" in fp("runs", "show", run_id).out
    done = fp(*TRIGGER, "--wait", "--format", "ids").out.strip()
    late = fp("runs", "cancel", done)
    assert (1, f"warning: {done}: it has ended already: succeeded\n") == (late.code, late.err.partition("0 runs")[0])
    assert (64, "error: there is no run 'nope'") == (
        (none := fp("runs", "cancel", "nope")).code,
        none.err.partition(";")[0],
    )


def test_many_are_cancelled_by_filter_after_asking(fp: Fp) -> None:
    """Nobody is there to answer: `--yes` does."""
    ids = {fp(*TRIGGER, "--key", "many", "--run-in", "1h").out.strip() for _ in range(3)}
    refused = fp("runs", "cancel", "--key", "many")
    assert (64, True) == (refused.code, "Cancel all unfinished runs with key many?" in refused.err)
    assert ids == set(fp("runs", "cancel", "--key", "many", "--yes", "--format", "ids").out.split())
    assert "0 runs cancelled\n" == fp("runs", "cancel", "--key", "many", "--yes").err


@pytest.mark.parametrize("verb", ["cancel", "retry", "replay", "purge"])
def test_runs_are_named_or_chosen(fp: Fp, verb: str) -> None:
    """Neither nothing nor both; a pipeline that never was is a wrong command."""
    assert [64, 64] == [fp("runs", verb).code, fp("runs", verb, "x", "--all").code]
    typo = fp("runs", verb, "-p", "countign", *([] if verb == "retry" else ["--yes"]))
    assert (64, True) == (typo.code, "countign" in typo.err)


def test_a_run_is_replayed_retried_and_purged(fp: Fp) -> None:
    """A replay names its origin; a retry is the same run again; a purge forgets it."""
    good = fp(*TRIGGER, "--wait", "--format", "ids").out.strip()
    new = fp("runs", "replay", good, "--format", "ids").out.strip()
    assert (good, "succeeded") == (finished(fp, new)["replay_of"], finished(fp, new)["outcome"])
    assert good in fp("runs", "show", new).out
    bad = fp("trigger", "counting", "-i", "value=-1", "-i", "source=x", "--wait", "--format", "ids").out.strip()
    assert "1 run will run again\n" == fp("runs", "retry", bad).err
    assert 2 == finished(fp, bad)["attempt"]
    refused = fp("runs", "retry", good)
    assert (1, True) == (refused.code, "`fp-events runs replay`" in refused.err)
    assert (0, "2 runs deleted\n") == ((ended := fp("runs", "purge", good, bad, "--yes")).code, ended.err)
    assert 64 == fp("runs", "show", good).code


def test_a_traceback_is_shown_where_it_leads_to_the_users_code(fp: Fp) -> None:
    """A message that is rejected before any of it runs has its sentence alone."""
    fp("publish", "in/garbled", "ON")
    failed = fp("trigger", "counting", "-i", "value=-1", "-i", "source=y", "--wait", "--format", "ids").out.strip()
    limit = time.monotonic() + 20
    while not (rejected := fp("runs", "list", "--outcome", "rejected", "--format", "ids").out.split()):
        assert time.monotonic() < limit
        time.sleep(0.05)

    said = [fp("runs", "show", run_id).out.partition("\nattempt 1")[2] for run_id in (rejected[0], failed)]

    assert ["payload.value: payload is text" in said[0], "Traceback" in said[0]] == [True, False]
    assert ["raise ValueError" in said[1], "Traceback" in said[1]] == [True, True]


def test_runs_are_listed_by_time(fp: Fp) -> None:
    """Since and until, as durations and as times."""
    run_id = fp(*TRIGGER, "--wait", "--format", "ids").out.strip()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert run_id in fp("runs", "list", "--since", "1m", "--format", "ids").out
    assert run_id not in fp("runs", "list", "--until", "1h", "--format", "ids").out
    assert run_id not in fp("runs", "list", "--since", tomorrow, "--format", "ids").out
    assert (64, True) == ((wrong := fp("runs", "list", "--since", "soon")).code, "2026-01-31T08:00" in wrong.err)


def test_a_run_is_started_at_a_time_with_settings_of_its_own(fp: Fp) -> None:
    """Local time where the zone is left out."""
    at = (datetime.now().astimezone() + timedelta(hours=2)).replace(microsecond=0)
    run_id = fp(*TRIGGER, "--run-at", at.replace(tzinfo=None).isoformat(), "--max-retries", "2", "--retry-delay", "1m",
                "--priority", "5", "--attempt-timeout", "10s", "--deadline", "1h").out.strip()  # fmt: skip
    run = shown(fp, run_id)
    assert at == datetime.fromisoformat(run["due_at"])
    assert at + timedelta(hours=1) == datetime.fromisoformat(run["deadline_at"])
    assert {"max_retries": 2, "retry_delay": 60.0, "priority": 5, "timeout": 10.0} == {
        name: value for name, value in run["request"].items() if name != "inputs"
    }
    assert 64 == fp(*TRIGGER, "--run-in", "soon").code
    both = fp(*TRIGGER, "--run-in", "1h", "--run-at", "2999-01-01")
    assert (64, True) == (both.code, "exclude each other" in both.err)
    fp("runs", "cancel", run_id)
