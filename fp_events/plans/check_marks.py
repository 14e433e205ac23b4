"""What is wrong with a plan's marks where it is to run."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from fp_events.domain.errors import Problem
from fp_events.domain.marks import marks_of
from fp_events.domain.pipeline import Pipeline

from .selection import Selection


def check_marks(pipeline: Pipeline, selection: Selection) -> Iterator[Problem]:
    """Marks that make ordinary functions wait on the daemon's own loop, which then does nothing else."""
    if pipeline.executor is None or pipeline.executor.type != "local":
        return
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
