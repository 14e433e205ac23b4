"""`status`: what the daemon does now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from fp_events.domain.errors import UsageError

from .daemon import call
from .invocation import Invocation
from .output import Column, Format, FormatOption, Row, field, show_facts, show_rows, show_value, warn
from .schedule_texts import until
from .texts import ago, duration, outcome_style, plural, size

#: MQTT's first reason code that says no (MQTT 5, 3.9.3).
_REFUSAL = 0x80


def _last_run(row: Row) -> str:
    last = row.get("last_run")
    return "" if last is None else f"{last['outcome']} {ago(last['finished_at'])}"


def _failed(row: Row) -> str:
    return str(sum(row[name] for name in ("failed", "timed_out", "rejected", "expired")))


_COLUMNS: Sequence[Column] = (
    field("name", title="pipeline"),
    Column("", lambda row: "paused" if row["paused"] else "", style=lambda _: "yellow"),
    Column("received", lambda row: str(sum(trigger["received"] for trigger in row["triggers"])), right=True),
    field("queued", right=True),
    field("running", right=True),
    field("waiting", right=True),
    field("succeeded", right=True),
    Column("failed", _failed, right=True, style=lambda text: "" if text == "0" else "red"),
    field("dead_letters", title="dead letters", right=True),
    Column("last run", _last_run, style=lambda text: outcome_style(text.partition(" ")[0])),
)


def status(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Show what the daemon does now: broker, ledger, pipelines."""
    invocation: Invocation = context.obj
    if form is Format.IDS:
        raise UsageError("a status has no ids", mend="use --format table, json or yaml")
    found = call(invocation.config(), "status")
    if form is not Format.TABLE:
        show_value(found, form=form)
        return
    show_facts(_facts(found))
    print()
    show_rows(found["pipelines"], _COLUMNS, form=form, ids=lambda row: str(row["name"]), empty="no pipelines")
    for sentence in _complaints(found):
        warn(sentence)


def _facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    broker, ledger, totals = found["broker"], found["ledger"], found["totals"]
    link = "connected" if broker["connected"] else "not connected"
    return [
        ("daemon", f"{found['project']} {found['version']}, process {found['pid']}, up {duration(found['uptime_s'])}"),
        ("client id", found["client_id"]),
        ("broker", f"{broker['address']}, {link}, {plural(broker['connections'], 'connection')} since the start"),
        ("ledger", f"{ledger['path']}, {size(ledger['size_bytes'])}"),
        ("messages", f"{totals['received']} received, {totals['received_per_s']:.1f}/s"),
        ("runs", f"{totals['finished']} finished, {totals['finished_per_s']:.1f}/s, {totals['pending']} pending"),
        ("schedules", _schedules(found["schedules"])),
        ("loop", _loop(found["loop"])),
        ("ledger writer", _writer(found["ledger_writer"])),
        ("draining", "yes" if found["draining"] else ""),
    ]


def _schedules(schedules: Mapping[str, Any]) -> str:
    if not schedules["count"]:
        return ""
    following = f", the next {until(schedules['next_fire_at'])}" if schedules["next_fire_at"] else ""
    return f"{schedules['count']}, {schedules['fired']} fired since the start{following}"


def _loop(loop: Mapping[str, Any]) -> str:
    lag = loop["lag_ms"]
    return (
        f"{loop['name']}, late by {lag['p50']:.1f} ms (p50), {lag['p99']:.1f} ms (p99), {lag['max']:.1f} ms (longest)"
    )


def _writer(writer: Mapping[str, Any]) -> str:
    return f"answered {duration(writer['answered_ago_s'])} ago, in {duration(writer['took_ms'] / 1000)}"


def _complaints(found: Mapping[str, Any]) -> list[str]:
    broker, ledger = found["broker"], found["ledger"]
    said = []
    if broker["last_error"] and not broker["connected"]:
        said.append(f"the broker: {broker['last_error']}")
    for topic, code in broker["granted"].items():
        if code >= _REFUSAL:
            said.append(f"the broker refused the subscription to {topic} (reason code {code})")
    if ledger["problem"]:
        said.append(f"the ledger: {ledger['problem']}")
    said += [
        f"{name}: Redis is out of reach; its runs wait"
        for name, executor in found["executors"].items()
        if not executor.get("connected", 1)
    ]
    if ledger["refused"]:
        said.append(f"the broker refused {ledger['refused']} results; see `fp-events dlq list`")
    for pipeline in found["pipelines"]:
        said += [
            f"{pipeline['name']}: trigger {trigger['topic']} is paused"
            for trigger in pipeline["triggers"]
            if trigger["paused"]
        ]
        said += [
            f"{pipeline['name']}: no message on {trigger['topic']} since the start"
            for trigger in pipeline["triggers"]
            if trigger["last_message_at"] is None
        ]
    return said
