"""Where what a run returned went: reckoned from what is stored of it, since what is confirmed leaves the outbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fp_events.domain.errors import FpEventsError
from fp_events.domain.mapping import scope_of
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.records import StoredPublication, StoredRun
from fp_events.domain.run import DEAD_LETTERS, Outcome
from fp_events.domain.templates import parse_topic

from .formats import Formats
from .names import Names

#: Run -> (event id, topic) of what it published, by today's configuration; empty where that cannot be told.
Describe = Callable[[StoredRun], Sequence[tuple[str, str]]]


def describer(pipelines: Mapping[str, Pipeline], formats: Formats, names: Names) -> Describe:
    """What tells where runs of these pipelines published to."""

    def describe(run: StoredRun) -> Sequence[tuple[str, str]]:
        if run.outcome in DEAD_LETTERS:
            return [(f"{run.run_id}:dlq:{run.attempt}", names.dead_letter(run.pipeline))]
        pipeline = pipelines.get(run.pipeline)
        if run.outcome is not Outcome.SUCCEEDED or run.values is None or pipeline is None:
            return []
        try:
            return _results(pipeline, run, json.loads(run.values), formats, names)
        except (FpEventsError, ValueError, TypeError, IndexError):
            # The configuration is another one than when it ran.
            return []

    return describe


def _results(
    pipeline: Pipeline, run: StoredRun, values: Mapping[str, Any], formats: Formats, names: Names
) -> list[tuple[str, str]]:
    scope = _scope(pipeline, run, formats)
    found: list[tuple[str, str]] = []
    for output in pipeline.outputs:
        if output.node not in values:
            if output.node in pipeline.state:
                return []  # state is not among the values that are kept
            continue
        value = values[output.node]
        for item in value if output.each and isinstance(value, list) else [value]:
            if item is None:
                continue
            topic = names.result(pipeline.name, output.node)
            if output.topic:
                topic = parse_topic(output.topic).render_topic({**scope, "value": item})
            found.append((f"{run.run_id}:{len(found)}", topic))
    return found


def _scope(pipeline: Pipeline, run: StoredRun, formats: Formats) -> dict[str, Any]:
    scope: dict[str, Any] = {**pipeline.params, **pipeline.inputs}
    if run.request:
        scope |= json.loads(run.request).get("inputs") or {}
    if run.message is not None and run.trigger is not None:
        decode = formats.decoder(pipeline.triggers[run.trigger].format)
        payload = decode(run.message.payload, run.message.properties.content_type)
        scope = dict(scope_of(payload, run.message, run.captures))
    return {**scope, "pipeline": pipeline.name, "key": run.key or ""}


def publications(run: StoredRun, left: Sequence[StoredPublication], describe: Describe | None) -> list[dict[str, Any]]:
    """What a run published: what is `left` in the outbox is unsent or refused, the rest the broker has confirmed."""
    rows = {row.publication.event_id: row for row in left}
    known = dict(describe(run)) if describe is not None else {}
    shown = []
    for event_id in (*known, *(name for name in rows if name not in known)):
        row = rows.get(event_id)
        shown.append(
            {
                "event_id": event_id,
                "topic": known[event_id] if row is None else row.publication.topic,
                "state": "confirmed" if row is None else "refused" if row.refused else "unsent",
                "reason": row.refused or None if row is not None else None,
            }
        )
    return shown
