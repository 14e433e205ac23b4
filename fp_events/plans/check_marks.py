"""Marks that do not do what they say where they stand."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from fp_events.domain.errors import Problem
from fp_events.domain.marks import marks_of
from fp_events.domain.pipeline import Pipeline

from .building import where_of
from .selection import Selection


def check_marks(pipeline: Pipeline, selection: Selection) -> Iterator[Problem]:
    """Marks of helpers and of a cache that is off, which are not at work, and those that wait on the daemon's loop."""
    for function in selection.graph.idle:
        yield Problem(
            what=f"'{function.__name__}' has marks and is no node: whoever calls it calls the function without them",
            where=where_of(selection.graph.generation, (function,)),
            mend="mark the function that calls it, or make it a node",
            warning=True,
        )
    if pipeline.executor is not None and pipeline.executor.type == "local":
        yield from _waiting(selection)
    if pipeline.cache.enabled is False:
        yield from _unkept(pipeline, selection)


def _unkept(pipeline: Pipeline, selection: Selection) -> Iterator[Problem]:
    told: set[str] = set()
    for name in selection.order:
        for function in selection.graph.nodes[name].originating_functions or ():
            marks = marks_of(function)
            if marks is not None and marks.cached is not None and function.__name__ not in told:
                told.add(function.__name__)
                yield Problem(
                    what=f"@cached of '{function.__name__}' at {selection.graph.where(name)} keeps nothing",
                    where=pipeline.where_of("run.cache.enabled"),
                    mend="take `cache: false` away, unless that is what you want",
                    warning=True,
                )


def _waiting(selection: Selection) -> Iterator[Problem]:
    told: set[str] = set()
    for name in selection.order:
        for function in selection.graph.nodes[name].originating_functions or ():
            marks = marks_of(function)
            if marks is None or inspect.iscoroutinefunction(function) or function.__name__ in told:
                continue
            if marks.timeout is None and (marks.retry is None or marks.retry.delay == 0):
                continue
            told.add(function.__name__)
            mark = "@retry" if marks.timeout is None else "@timeout"
            yield Problem(
                what=f"{mark} of '{function.__name__}', which is not async, would wait on the daemon's own loop",
                where=selection.graph.where(name),
                mend="leave `run.executor` out, which gives it threads, or make the function async",
                warning=True,
            )
