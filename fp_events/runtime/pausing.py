"""Operators' pauses of pipelines and of single triggers, remembered in the ledger's settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fp_events.domain.errors import CommandRefused

from .lane import Lane

_PAUSED = "paused:"


@dataclass(frozen=True, slots=True)
class Pause:
    """One thing that can be paused."""

    #: Name of the setting that remembers it.
    setting: str
    set: Callable[[bool], None]


def pause_of(lane: Lane, trigger: str | None) -> Pause:
    """The pause of a pipeline, or of the trigger with this topic; raises CommandRefused where it has none."""
    name = lane.pipeline.name
    if trigger is None:
        return Pause(_pipeline(name), lambda paused: setattr(lane, "paused", paused))
    topics = [each.topic for each in lane.pipeline.triggers]
    if trigger not in topics:
        raise CommandRefused(
            f"pipeline '{name}' has no trigger '{trigger}'",
            where="pause",
            mend=f"its triggers are {', '.join(topics)}" if topics else "it has no triggers",
        )
    queues = [queue for topic, queue in zip(topics, lane.queues, strict=False) if topic == trigger]

    def change(paused: bool) -> None:
        for queue in queues:
            queue.paused = paused

    return Pause(_trigger(name, trigger), change)


def restore(lanes: Iterable[Lane], settings: Mapping[str, bytes]) -> None:
    """Pause what was paused when the last daemon ended."""
    for lane in lanes:
        name = lane.pipeline.name
        lane.paused = _pipeline(name) in settings
        for trigger, queue in zip(lane.pipeline.triggers, lane.queues, strict=False):
            queue.paused = _trigger(name, trigger.topic) in settings


def _pipeline(name: str) -> str:
    return f"{_PAUSED}{name}"


def _trigger(name: str, topic: str) -> str:
    # No pipeline's name has a line break.
    return f"{_PAUSED}{name}\n{topic}"
