"""``FP_EVENTS_…`` variables to layers: ``__`` between levels, case and ``-``/``_`` do not matter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from fp_events.domain.errors import Problem

from .layers import Layer, Path
from .pipeline_keys import PipelineSettings
from .project_keys import ProjectSettings
from .schema import Shape, block_of, is_mapping, item_of, knowledge, shape
from .values import Substituted

PREFIX: Final = "FP_EVENTS_"
#: Chooses the overlay; not a setting.
ENVIRONMENT: Final = "FP_EVENTS_ENV"
#: Variables that are no settings; `fp_events.failpoints` and `fp_events.filesystems` read theirs.
_OTHERS: Final = (ENVIRONMENT, "FP_EVENTS_FAILPOINT", "FP_EVENTS_HOME")
_PIPELINES: Final = "PIPELINES__"


def environment_layers(
    environ: Mapping[str, str], pipelines: Sequence[str]
) -> tuple[Layer, dict[str, Layer], list[Problem]]:
    """The project's layer, one for each pipeline that a variable names, and what is wrong.

    A variable that is empty counts as not set.
    """
    project = _Collector(ProjectSettings)
    of_pipelines: dict[str, _Collector] = {}
    problems: list[Problem] = []
    for variable in sorted(environ):
        if not variable.upper().startswith(PREFIX) or variable.upper() in _OTHERS or not environ[variable]:
            continue
        name, rest = _pipeline(variable[len(PREFIX) :], pipelines)
        if not name and rest.upper().startswith(_PIPELINES):
            problems.append(_unknown(variable, pipelines))
            continue
        collector = of_pipelines.setdefault(name, _Collector(PipelineSettings)) if name else project
        if not collector.take(variable, rest.split("__"), environ[variable], problems):
            problems.append(_unknown(variable, pipelines))
    return project.layer(), {name: found.layer() for name, found in of_pipelines.items()}, problems


def _folded(text: str) -> str:
    return text.upper().replace("-", "_")


def _pipeline(rest: str, pipelines: Sequence[str]) -> tuple[str, str]:
    """The pipeline that a variable names, and what follows; empty and all of it for the project's."""
    # The longest name first: one may begin another.
    for name in sorted(pipelines, key=len, reverse=True):
        start = f"{_PIPELINES}{_folded(name)}__"
        if rest.upper().startswith(start):
            return name, rest[len(start) :]
    return "", rest


def _unknown(variable: str, pipelines: Sequence[str]) -> Problem:
    known = [PREFIX + name for name in _names(ProjectSettings)]
    known += [f"{PREFIX}{_PIPELINES}{_folded(p)}__{name}" for p in pipelines for name in _names(PipelineSettings)]
    near = get_close_matches(variable.upper(), [*known, ENVIRONMENT], n=1, cutoff=0.6)
    mend = f"did you mean {near[0]}?" if near else "see `fp-events config show` for the settings there are"
    return Problem(what=f"the variable {variable} names no setting", where="environment", mend=mend)


def _names(found: Shape) -> Iterator[str]:
    block = block_of(found)
    assert block is not None
    for name, field in block.model_fields.items():
        yield name.upper()
        inner = shape(field.annotation)
        if block_of(inner):
            yield from (f"{name.upper()}__{rest}" for rest in _names(inner))


class _Collector:
    """Variables of one model on their way to a layer."""

    def __init__(self, model: type[ProjectSettings] | type[PipelineSettings]) -> None:
        self._model = model
        self._data: dict[str, Any] = {}
        self._marks: dict[Path, str] = {}

    def layer(self) -> Layer:
        """The layer of all variables taken."""
        return Layer(data=self._data, marks=self._marks, where="environment")

    def take(self, variable: str, parts: Sequence[str], text: str, problems: list[Problem]) -> bool:
        """Add one variable; False if it names no setting."""
        target = _locate(self._model, parts)
        if target is None:
            return False
        path, found = target
        shorthand = _shorthand(found, text)
        if shorthand:
            path = (*path, shorthand)
        data = self._data
        for name in path[:-1]:
            data = data.setdefault(name, {})
            if not isinstance(data, dict):
                return False
        try:
            data[path[-1]] = _value(variable, text, Any if shorthand else found)
        except ValueError as error:
            problems.append(Problem(what=str(error), where=f"environment {variable}"))
        self._marks[path] = f"environment {variable}"
        return True


def _locate(found: Shape, parts: Sequence[str]) -> tuple[tuple[str, ...], Shape] | None:
    """The path that a variable's parts name, and the shape there; None if there is no such setting."""
    path: list[str] = []
    for part in parts:
        block = block_of(found)
        if block is not None:
            name, found = _field(block, part)
        elif part and (is_mapping(found) or (found is Any and path)):
            name, found = part.lower(), item_of(found) or Any
        else:
            return None
        if found is None:
            return None
        path.append(name)
    return tuple(path), found


def _field(block: Any, part: str) -> tuple[str, Shape | None]:
    for name, field in block.model_fields.items():
        if _folded(part) == name.upper():
            return name, shape(field.annotation)
    # A key that is not available is told so by the check of its block.
    unavailable = next((name for name in knowledge(block).unavailable if _folded(part) == name.upper()), "")
    return unavailable, Any if unavailable else None


def _shorthand(found: Shape, text: str) -> str | None:
    block = block_of(found)
    return knowledge(block).shorthand if block is not None and not text.lstrip().startswith("{") else None


def _value(variable: str, text: str, found: Shape) -> object:
    """The value in a variable: JSON for blocks and lists, else text whose type the key decides."""
    wanted = _wanted(found, text)
    if not wanted:
        return Substituted(text, variable=variable, whole=True, hidden=False)
    try:
        value: object = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, wanted):
        example = '{"name": 1}' if dict in wanted else '["a", "b"]'
        raise ValueError(f"expected JSON such as {example}")
    return value


def _wanted(found: Shape, text: str) -> tuple[type, ...]:
    """What JSON may give for `found`; nothing where text is not read as JSON."""
    item = item_of(found)
    if block_of(found) is not None:
        return (dict,)
    if is_mapping(found):
        # A block of blocks may be written as the list of their names.
        return (dict, list) if block_of(item) else (dict,)
    if item is not None:
        return (list,)
    return (dict, list) if found is Any and text.lstrip().startswith(("{", "[")) else ()
