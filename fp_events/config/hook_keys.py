"""The keys of ``hooks`` and ``resources``: in ``project.yml`` for all pipelines, in a pipeline's file for it alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from fp_events.domain.hooks import KINDS, Named

from .keys import Block, setting
from .kinds import Kind, matching
from .layers import Layer, Path, origin

FUNCTION: Kind = matching(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", "a function such as hooks.notify:failed")


def _functions(value: object) -> tuple[object, ...]:
    return tuple(FUNCTION.read(item) for item in (value if isinstance(value, list | tuple) else (value,)))


_FUNCTIONS = Kind("function, or a list", _functions)
_Functions = Annotated[tuple[str, ...], _FUNCTIONS]


def _hook(meaning: str) -> tuple[str, ...]:
    found: tuple[str, ...] = setting((), meaning, shown="none")
    return found


class HookSettings(Block):
    """Functions as `module:function`, called in the order of the list, the project's before a pipeline's."""

    message: _Functions = _hook("Called with a message, before `map`: gives inputs, configuration, another payload.")
    before_run: _Functions = _hook("Called in each attempt before its first node; what it raises fails the attempt.")
    after_run: _Functions = _hook("Called once a run has ended, whatever its outcome.")
    on_success: _Functions = _hook("Called once a run has succeeded.")
    on_failure: _Functions = _hook("Called once a run has ended otherwise.")
    on_retry: _Functions = _hook("Called once an attempt has failed that another one follows.")
    before_node: _Functions = _hook("Called before each node; what it raises fails the attempt.")
    after_node: _Functions = _hook("Called after each node, also one that raised; what it raises fails the attempt.")


def hooks(of_project: HookSettings, own: HookSettings, layers: Layers) -> Mapping[str, tuple[Named, ...]]:
    """The hooks of one pipeline by kind, as far as there are any."""
    found = {
        kind: (*_named(of_project, kind, layers[0], shared=True), *_named(own, kind, layers[1], shared=False))
        for kind in KINDS
    }
    return {kind: named for kind, named in found.items() if named}


def resources(of_project: Mapping[str, str], own: Mapping[str, str], layers: Layers) -> Mapping[str, Named]:
    """What opens the inputs of one pipeline: its own wins over the project's."""
    where: Path = ("resources",)
    return {name: Named(text, origin(layers[0], (*where, name)), shared=True) for name, text in of_project.items()} | {
        name: Named(text, origin(layers[1], (*where, name))) for name, text in own.items()
    }


#: Those of the project, and those of the pipeline.
Layers = tuple[Sequence[Layer], Sequence[Layer]]


def _named(settings: HookSettings, kind: str, layers: Sequence[Layer], *, shared: bool) -> Iterator[Named]:
    for index, text in enumerate(getattr(settings, kind)):
        yield Named(text, origin(layers, ("hooks", kind, index)), shared=shared)
