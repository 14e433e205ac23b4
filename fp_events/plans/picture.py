"""A pipeline as boxes and arrows: its triggers, inputs, nodes and outputs, and what one run did with them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fp_events.domain.durations import format_duration
from fp_events.domain.observation import NodeRecord
from fp_events.domain.pipeline import Pipeline, Trigger

from .catalogue import Catalogue, NodeInfo
from .sources import default_sources

Kind = Literal["trigger", "input", "node", "final", "output"]
#: What happened to a box in a run; empty for what is no computed node, and in pictures of no run.
Status = Literal["", "succeeded", "failed", "skipped", "cached", "not reached"]

#: Of an error, characters.
_ERROR = 80
#: Characters that steer a terminal or turn the direction of text, lone surrogates, and what ends a line anywhere.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDrawn:
    """The run that a picture is of."""

    run_id: str
    outcome: str
    nodes: Sequence[NodeRecord]
    #: What it was asked for beyond its pipeline's settings.
    final_vars: Sequence[str] | None = None
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box of a picture; its texts are safe to print, and have no syntax of any format removed."""

    #: Safe in every format: a letter and a number.
    key: str
    kind: Kind
    title: str
    details: tuple[str, ...] = ()
    #: It stands for as many branches as there are items.
    is_many: bool = False
    status: Status = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to another."""

    start: str
    end: str
    label: str = ""
    #: Not a value within one run: state that the next run gets.
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All of it."""

    name: str
    #: Says which run it is of; empty for none.
    title: str = ""
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)


def picture_of(catalogue: Catalogue, pipeline: Pipeline, run: RunDrawn | None = None) -> Picture:
    """The pipeline's picture. Raises ConfigError as `Catalogue.plan` does."""
    nodes = nodes_drawn(catalogue, pipeline, run)
    keys = {node.name: f"n{number}" for number, node in enumerate(nodes)}
    picture = Picture(name=shown(pipeline.name), title="" if run is None else title_of(pipeline, run))
    happened = {} if run is None else {record.node: record for record in run.nodes}
    for number, trigger in enumerate(pipeline.triggers):
        picture.boxes.append(Box(key=f"t{number}", kind="trigger", title=shown(trigger.topic)))
        given = fills(trigger, keys)
        picture.arrows.extend(Arrow(f"t{number}", keys[name], shown(path)) for name, path in given)
    many = _many(nodes)
    makers = {node.name for node in nodes if node.branches == "makes"}
    for node in nodes:
        picture.boxes.append(_box(node, keys[node.name], node.name in many, run is not None, happened.get(node.name)))
        for name in node.inputs:
            # An optional input that nothing gives is a parameter, and no box where an override cut it off.
            if name in keys:
                label = "all" if node.branches == "collects" and name in many else "each" if name in makers else ""
                picture.arrows.append(Arrow(keys[name], keys[node.name], label))
    for kept, name in pipeline.state.items():
        if name in keys and kept in keys:
            picture.arrows.append(Arrow(keys[kept], keys[name], "next run", dashed=True))
    for number, output in enumerate(pipeline.outputs):
        if output.node in keys:
            picture.boxes.append(Box(key=f"o{number}", kind="output", title=target(pipeline, output.topic)))
            picture.arrows.append(Arrow(keys[output.node], f"o{number}", "each" if output.each else ""))
    return picture


def nodes_drawn(catalogue: Catalogue, pipeline: Pipeline, run: RunDrawn | None) -> list[NodeInfo]:
    """The nodes of the plan that the run had, or that the pipeline has."""
    if run is None:
        return catalogue.nodes(pipeline)
    return catalogue.nodes(pipeline, final_vars=run.final_vars, config=run.config)


def title_of(pipeline: Pipeline, run: RunDrawn) -> str:
    """Says which run it is, and how it ended."""
    return shown(f"{pipeline.name}, run {run.run_id}: {run.outcome}")


def told(record: NodeRecord | None) -> str:
    """What happened to a node, on one line."""
    if record is None:
        return "not reached"
    text = record.status if record.status == "skipped" else f"{record.status} in {_duration(record.duration)}"
    if record.attempts > 1:
        text += f", {record.attempts} calls"
    if not record.error:
        return text
    error = record.error if len(record.error) <= _ERROR else f"{record.error[: _ERROR - 1]}…"
    return shown(f"{text}: {error}")


def shown(text: str) -> str:
    """`text` on one line, with nothing in it that could steer whatever shows it."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def fills(trigger: Trigger, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """(input, path) of what a trigger gives to the plan."""
    if trigger.map is not None:
        yield from ((name, path) for name, path in trigger.map.items() if name in keys)
    elif not trigger.spread:
        yield from ((name, path) for name, path in default_sources(trigger).items() if name in keys)


def target(pipeline: Pipeline, topic: str | None) -> str:
    """Where an output goes."""
    return shown(topic or f"…/results/{pipeline.name}/<node>")


def _box(node: NodeInfo, key: str, is_many: bool, is_run: bool, record: NodeRecord | None) -> Box:
    kind: Kind = "input" if node.is_input else "final" if node.final else "node"
    details = [shown(node.type), ", ".join(map(shown, node.marks))]
    status: Status = ""
    if is_run and not node.is_input:
        status = "not reached" if record is None else record.status
        details.append(told(record))
    return Box(
        key=key, kind=kind, title=shown(node.name), details=tuple(filter(None, details)), is_many=is_many, status=status
    )


def _many(nodes: Sequence[NodeInfo]) -> set[str]:
    """Nodes that run once for each branch."""
    found: set[str] = set()
    makers = {node.name for node in nodes if node.branches == "makes"}
    for node in nodes:
        if node.branches != "collects" and any(name in makers or name in found for name in node.inputs):
            found.add(node.name)
    return found


def _duration(seconds: float) -> str:
    return format_duration(float(f"{seconds:.2g}"))
