"""What decides, beside its nodes, what an attempt of a plan does: part of the plan's version."""

from __future__ import annotations

from fp_events.domain.pipeline import Pipeline

from .hooks import hooks_of
from .selection import Selection
from .typed import shapes_of


def beside_nodes(pipeline: Pipeline, selection: Selection) -> list[object]:
    """Hooks that are called in the attempt, resources that the plan takes, and the fields of validated inputs."""
    found: list[object] = []
    if pipeline.hooks or pipeline.resources:
        hooks = hooks_of(selection.graph.generation, pipeline, selection.graph)
        found += [(hook.kind, hook.call) for hook in hooks.in_attempt]
        found += [(name, each.call) for name, each in hooks.resources.items() if name in selection.inputs]
    return [*found, *shapes_of(selection)]
