"""`schedules`, as a user calls it, and how rules and times read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fp_events.cli.schedule_texts import fires_in, rule

from .conftest import Ended

Fp = Callable[..., Ended]
NOW = datetime(2026, 11, 23, 0, 48, tzinfo=UTC)


def row(next_fire_at: str | None, **more: Any) -> dict[str, Any]:
    return {"timezone": "Europe/Berlin", "next_fire_at": next_fire_at, "kind": "interval", "expression": 60, **more}


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-23T04:00:00+00:00", "in 3 h 12 min, Mon 23 Nov 05:00 Europe/Berlin"),
        ("2026-11-25T10:30:15+00:00", "in 2 d 9 h, Wed 25 Nov 11:30:15 Europe/Berlin"),
        ("2026-11-23T00:53:00+00:00", "in 5 min, Mon 23 Nov 01:53 Europe/Berlin"),
        ("2026-11-23T00:48:30+00:00", "in 30 s, Mon 23 Nov 01:48:30 Europe/Berlin"),
        ("2026-11-23T00:47:00+00:00", "now, Mon 23 Nov 01:47 Europe/Berlin"),
        ("2030-07-01T10:00:00+00:00", "in 1316 d 9 h, Mon 1 Jul 2030 12:00 Europe/Berlin"),
        (None, ""),
    ],
)
def test_the_next_time_reads_as_people_say_it(moment: str | None, text: str) -> None:
    """How long it is, and what the clock of the schedule's zone will show; the year where it is far away."""
    assert text == fires_in(row(moment), NOW)


@pytest.mark.parametrize(
    ("kind", "expression", "text"),
    [
        ("cron", "0 5 * * 1-5", "cron 0 5 * * 1-5"),
        ("cron", {"hour": "3"}, 'cron {"hour": "3"}'),
        ("interval", 2700.0, "every 45m"),
        ("interval", 788645.0, "every 1w2d3h4m5s"),
        ("interval", 1.5, "every 1.5s"),
        ("date", "2040-01-01T03:00:00+00:00", "at Sun 1 Jan 2040 04:00 Europe/Berlin"),
        ("date", ["2040-01-01T03:00:00+00:00"] * 2, "at 2 times"),
    ],
)
def test_a_rule_reads_as_it_is_written(kind: str, expression: Any, text: str) -> None:
    """One line for each kind."""
    assert text == rule(row(None, kind=kind, expression=expression))


def test_a_schedule_is_added_steered_and_removed(fp: Fp) -> None:
    """add, list, show, pause, resume, remove: in tables, JSON and ids, each with its exit code."""
    inputs = ("--inputs", '{"source": "clock"}', "-i", "value=1")
    added = fp(
        "schedules", "add", "counting", "--cron", "0 5 * * 1-5", "--timezone", "Europe/Berlin", "--id", "early", *inputs
    )
    fields = fp("schedules", "add", "counting", "--cron", '{"hour": 3}', "--id", "fields", *inputs, "--format", "ids")
    again = fp("schedules", "add", "counting", "--interval", "1d", "--id", "early", *inputs)
    listed = fp("schedules", "list", "--json").json

    assert (0, "fields\n") == (fields.code, fields.out)
    assert added.code == 0
    assert "Europe/Berlin" in added.out.splitlines()[-1]
    assert (
        64,
        "error: schedules.add: there is a schedule 'early' already; add --overwrite, or choose another id\n",
    ) == (
        again.code,
        again.err,
    )
    assert [("early", "active"), ("fields", "active")] == [(each["schedule_id"], each["state"]) for each in listed]
    assert "1 schedule paused: early" in fp("schedules", "pause", "early").err
    assert "paused" in fp("schedules", "show", "early").out
    assert "1 schedule resumed: early" in fp("schedules", "resume", "--all").err
    assert "nothing has changed" in fp("schedules", "sync").err
    assert "schedules      2, 0 fired" in fp("status").out
    assert "2 schedules removed: early, fields" in fp("schedules", "remove", "--all", "--yes").err
    assert ("", "no schedules\n") == (fp("schedules", "list").out, fp("schedules", "list").err)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pause"], "error: name the schedules, or say --all; `fp-events schedules list` shows their ids\n"),
        (["show", "nope"], "error: there is no schedule 'nope'; see `fp-events schedules list`\n"),
        (["add", "counting", "--cron", "{"], None),
        (["add", "counting", "--interval", "soon"], "error: schedules.add: 'interval': 'soon' is not an interval such as 45m, 1h30m, or a number of seconds\n"),
        (["add", "counting", "--cron", "@daily", "--jitter", "x"], "error: --jitter 'x' is no duration; write 90s, 15m or 2h30m\n"),
        (["list", "--pipeline", "countin"], "error: there is no pipeline 'countin'; did you mean 'counting'?\n"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_one_sentence(fp: Fp, arguments: list[str], sentence: str | None) -> None:
    """Exit 64, and what to write instead."""
    ended = fp("schedules", *arguments)

    assert 64 == ended.code
    assert 1 == len(ended.err.splitlines())
    assert sentence in (None, ended.err)
