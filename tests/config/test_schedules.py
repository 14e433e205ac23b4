"""Schedules as they are configured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fp_events.domain.schedule import Schedule, ScheduleSpec

from .projects import loaded, write


def schedules(folder: Path, text: str, **environ: str) -> tuple[Schedule, ...]:
    return loaded(write(folder, a=text), environ).pipelines["a"].schedules


@pytest.mark.parametrize(
    ("text", "kind", "expression"),
    [
        ("cron: '*/5 * * * *'", "cron", "*/5 * * * *"),
        ("cron: '0  5 * * 1-5'", "cron", "0 5 * * 1-5"),
        ("cron: '@daily'", "cron", "@daily"),
        ("cron: {minute: '0', hour: '*/2'}", "cron", {"hour": "*/2", "minute": "0"}),
        ("cron: {minute: 0, hour: 3, day_of_week: mon-fri}", "cron", {"day_of_week": "mon-fri", "hour": "3", "minute": "0"}),
        ("interval: 90", "interval", 90.0),
        ("interval: 2h30m", "interval", 9000.0),
        ("interval: {hours: 4, minutes: 30}", "interval", 16200.0),
        ("date: 2024-07-01T10:00:00", "date", ("2024-07-01T10:00:00+00:00",)),
        ("date: [2030-07-01T10:00:00+02:00, 2030-06-01]", "date", ("2030-06-01T00:00:00+00:00", "2030-07-01T08:00:00+00:00")),
    ],
)  # fmt: skip
def test_a_rule_is_written_in_many_ways(tmp_path: Path, text: str, kind: str, expression: Any) -> None:
    """Strings, numbers, blocks of fields, moments and lists of them."""
    (found,) = schedules(tmp_path, f"schedule:\n  {text}\n")

    assert (kind, expression) == (found.spec.kind, found.spec.expression)


def test_every_key_of_a_schedule_arrives(tmp_path: Path) -> None:
    """What is written is what the daemon gets; moments are read by the schedule's zone."""
    (found,) = schedules(
        tmp_path,
        """\
        schedule:
          id: daily
          enabled: false
          cron: 0 5 * * 1-5
          timezone: Europe/Berlin
          start: 2026-07-01T00:00:00
          end: 2027-01-01
          jitter: 5m
          misfire_grace: 1h
          coalesce: all
          max_missed: 7
          key: line7
          inputs: {line: "7"}
          final_vars: [report]
          config: {mode: strict}
          max_retries: 3
          retry_delay: 1s
          jitter_factor: 0.5
          timeout: 30s
        """,
    )

    spec = ScheduleSpec(
        kind="cron",
        expression="0 5 * * 1-5",
        zone="Europe/Berlin",
        start_at=datetime(2026, 6, 30, 22, tzinfo=UTC),
        end_at=datetime(2026, 12, 31, 23, tzinfo=UTC),
        jitter=300.0,
        misfire_grace=3600.0,
        coalesce="all",
        max_missed=7,
    )
    request = {
        "inputs": {"line": "7"},
        "final_vars": ["report"],
        "config": {"mode": "strict"},
        "max_retries": 3,
        "retry_delay": 1.0,
        "jitter_factor": 0.5,
        "timeout": 30.0,
    }
    assert Schedule(schedule_id="daily", pipeline="a", spec=spec, request=request, key="line7", enabled=False) == found
    assert "conf/pipelines/a.yml:1" == found.where


def test_several_schedules_have_ids_of_their_own(tmp_path: Path) -> None:
    """The one of `schedule` has the pipeline's name, those of `schedules` a number behind it."""
    found = schedules(
        tmp_path,
        "schedule: {interval: 5}\nschedules:\n  - {interval: 6}\n  - {interval: 7, id: mine}\n  - {interval: 8}\n",
    )

    assert ["a", "a.1", "mine", "a.3"] == [schedule.schedule_id for schedule in found]


def test_the_environment_sets_a_schedule(tmp_path: Path) -> None:
    """A variable's text means what it would mean in the file."""
    text = "schedule: {interval: 5, enabled: true}\n"

    (off,) = schedules(tmp_path, text, FP_EVENTS_PIPELINES__A__SCHEDULE__ENABLED="false")
    (slow,) = schedules(tmp_path, text, FP_EVENTS_PIPELINES__A__SCHEDULE__INTERVAL="2h")
    (cron,) = schedules(tmp_path, "schedule: {cron: '${WHEN}'}\n", WHEN="0 5 * * *")

    assert (False, 7200.0, "0 5 * * *") == (off.enabled, slow.spec.expression, cron.spec.expression)


def test_a_schedule_that_is_over_is_told(tmp_path: Path) -> None:
    """It is a warning: the pipeline may have triggers too."""
    (warning,) = loaded(write(tmp_path, a="schedule: {date: 2024-07-01T10:00:00}\n")).warnings

    assert "conf/pipelines/a.yml:1: schedule: its last time is over, it will not fire; remove it, or give it a time to come" == str(warning)  # fmt: skip
