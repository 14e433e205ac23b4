"""What is wrong with what a pipeline's schedules give their runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from fp_events.domain.errors import ConfigError, Problem, UsageError
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.schedule import SCHEDULED_AT, Schedule

from .building import type_name
from .hints import value_contradicts
from .selection import Selection, nearest

if TYPE_CHECKING:
    from .catalogue import Catalogue


def check_schedules(catalogue: Catalogue, pipeline: Pipeline) -> Iterator[Problem]:
    """Compile the plan that each schedule asks for, and compare it with what fills its inputs."""
    for schedule in pipeline.schedules:
        if not schedule.enabled:
            continue
        asked = {name: schedule.request[name] for name in ("final_vars", "config") if name in schedule.request}
        cache = schedule.request.get("cache")
        scheduled = pipeline if cache is None else replace(pipeline, cache=pipeline.cache.over(cache), origins={})
        try:
            selection = catalogue.plan(scheduled, **asked).selection
        except UsageError as error:
            what = f"schedule '{schedule.schedule_id}': {error.what}"
            yield Problem(what=what, where=schedule.where or pipeline.where, mend=error.mend)
            continue
        except ConfigError as error:
            # Without its own outputs and configuration the plan is the pipeline's, whose problems are told already.
            if asked:
                yield from error.problems
            elif cache is not None:
                for problem in error.problems:
                    what = f"schedule '{schedule.schedule_id}': {problem.what}"
                    yield Problem(what=what, where=schedule.where or pipeline.where, mend=problem.mend)
            continue
        yield from _given(pipeline, schedule, selection)
        yield from _unfilled(pipeline, schedule, selection)


def _given(pipeline: Pipeline, schedule: Schedule, selection: Selection) -> Iterator[Problem]:
    for name, value in schedule.request.get("inputs", {}).items():
        node = selection.graph.nodes.get(name)
        where = schedule.where or pipeline.where
        if node is None or not node.user_defined:
            known = [other for other, node in selection.graph.nodes.items() if node.user_defined]
            what = f"schedule '{schedule.schedule_id}' fills '{name}', which is no input of the pipeline"
            yield Problem(what=what, where=where, mend=nearest(name, known, "remove it"))
        elif value_contradicts(node.type, value):
            what = f"schedule '{schedule.schedule_id}' gives '{name}' {value!r}, taken as {type_name(node.type)}"
            yield Problem(what=what, where=where, mend="change the value or the type hint")


def _unfilled(pipeline: Pipeline, schedule: Schedule, selection: Selection) -> Iterator[Problem]:
    given = schedule.request.get("inputs", {})
    filled = {*given, *pipeline.inputs, *pipeline.params, *pipeline.state.values(), *pipeline.resources, SCHEDULED_AT}
    for name, required in selection.inputs.items():
        if required and name not in filled:
            yield Problem(
                what=f"schedule '{schedule.schedule_id}' starts runs without input '{name}', which nothing fills",
                where=schedule.where or pipeline.where,
                mend=f"add `{name}` to the schedule's `inputs`, to `run.inputs` or `params`, or give it a default",
            )
