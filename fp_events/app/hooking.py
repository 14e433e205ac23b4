"""Handlers with the hooks and resources of their pipelines, and what is called after a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fp_events.domain.hooks import Hook, Hooks
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.ports import Handler, HandlerLoader
from fp_events.domain.run import PlanRef
from fp_events.runtime.handler import PipelineHandler
from fp_events.runtime.hooked import HookedHandler, has_extras
from fp_events.runtime.resources import Pool

from .adapting import Choice

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.catalogue import Catalogue


def make_handler(
    pipeline: Pipeline, plans: Catalogue, pool: Pool, *given: Any, adapters: Choice, **settings: Any
) -> Handler:
    """The handler of a pipeline; `given` and `settings` are those of `PipelineHandler`. Raises ConfigError."""
    hooks = plans.hooks(pipeline) if pipeline.hooks or pipeline.resources else None
    if hooks is None or not has_extras(hooks):
        return PipelineHandler(pipeline, *given, adapters=adapters, **settings)
    return HookedHandler(
        pipeline, *given, hooks=hooks, pool=pool, adapters=_with_node_hooks(adapters, hooks), **settings
    )


def _with_node_hooks(adapters: Choice, hooks: Hooks) -> Choice:
    from fp_events.plans.node_hooks import node_adapters

    around_nodes = tuple(node_adapters(hooks))
    return lambda asked: (*adapters(asked), *around_nodes)


def after_commit(config: Config, plans: Catalogue) -> dict[str, Mapping[str, Sequence[Hook]]]:
    """What is called after runs of pipelines have ended or are retried, by pipeline and kind. Raises ConfigError."""
    named = [each for each in config.pipelines.values() if each.hooks or each.on_success or each.on_failure]
    found = {pipeline.name: plans.hooks(pipeline).after_commit for pipeline in named}
    return {name: hooks for name, hooks in found.items() if hooks}


def opening(load: HandlerLoader) -> HandlerLoader:
    """`load`, with resources opened before a run's time is counted; for executors whose workers may block."""

    def loaded(ref: PlanRef) -> Handler:
        handler = load(ref)
        if isinstance(handler, HookedHandler):
            handler.open_resources()
        return handler

    return loaded
