"""Which topics `tap` listens to: by kind and by pipeline."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from fp_events.domain.errors import PipelineNotFound, UsageError

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.domain.pipeline import Pipeline
    from fp_events.runtime.names import Names

#: Outcomes, and what else is told of a run.
EVENTS = (
    "succeeded", "failed", "timed_out", "expired", "rejected", "skipped", "cancelled", "started", "retrying",
)  # fmt: skip


def topics(
    config: Config, *, pipeline: str | None, events: Collection[str], results: bool, dead_letters: bool
) -> list[str]:
    """Filters for what is asked for; without a kind for all of them, none inside another.

    `events`: names of events, or `all`. Raises PipelineNotFound and UsageError.
    """
    from fp_events.app.building import names_of
    from fp_events.domain.topics import covering

    if pipeline is not None and pipeline not in config.pipelines:
        raise PipelineNotFound(pipeline, tuple(config.pipelines))
    for event in events:
        if event not in {*EVENTS, "all"}:
            raise UsageError(f"there is no event '{event}'", mend=f"known are {', '.join(EVENTS)}")
    names = names_of(config)
    chosen = [config.pipelines[pipeline]] if pipeline else list(config.pipelines.values())
    every = not (events or results or dead_letters)
    found: list[str] = []
    if every and pipeline is None:
        found.append(f"{names.base}/#")
    if every or events:
        wanted = ["+"] if every or "all" in events else list(events)
        found += [names.event(pipeline or "+", event) for event in wanted]
    if every or dead_letters:
        found.append(names.dead_letter(pipeline or "+"))
    if every or results:
        found += [topic for each in chosen for topic in _results(each, names)]
    if not found:
        raise UsageError(f"pipeline '{pipeline}' publishes no results", mend="give it `outputs`")
    return covering(dict.fromkeys(found))


def _results(pipeline: Pipeline, names: Names) -> Iterable[str]:
    from fp_events.domain.feedback import published

    return (published(pipeline, output, names.result) for output in pipeline.outputs)
