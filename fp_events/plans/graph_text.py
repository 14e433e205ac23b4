"""A pipeline, or one run of it, as a terminal shows it: one line per node, each after what it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fp_events.domain.pipeline import Pipeline, Trigger

from .catalogue import Catalogue, NodeInfo
from .picture import RunDrawn, fills, nodes_drawn, shown, target, title_of, told


def text(catalogue: Catalogue, pipeline: Pipeline, run: RunDrawn | None = None) -> str:
    """The drawing. Raises ConfigError as `Catalogue.plan` does."""
    nodes = nodes_drawn(catalogue, pipeline, run)
    plan = catalogue.plan(pipeline)
    lines = [f"{pipeline.name}  version {plan.ref.version}" if run is None else title_of(pipeline, run)]
    inputs = {node.name: True for node in nodes if node.is_input} | dict(plan.inputs)
    lines += _section("triggers", [_trigger_line(trigger, inputs) for trigger in pipeline.triggers])
    given = [(node.name, node.type, _origin(pipeline, node, inputs)) for node in nodes if node.is_input]
    lines += _section("inputs", _columns(given))
    happened = {} if run is None else {record.node: told(record) for record in run.nodes}
    computed = [
        (
            f"{node.name}{' *' if node.final else ''}",
            node.type,
            f"<- {', '.join(node.inputs)}" if node.inputs else "",
            f"[{', '.join(node.marks)}]" if node.marks else "",
            "" if run is None else happened.get(node.name, told(None)),
        )
        for node in nodes
        if not node.is_input
    ]
    lines += _section("nodes (* returned)", _columns(computed))
    lines += _section("state", [f"{node} -> {name}, in the key's next run" for node, name in pipeline.state.items()])
    lines += _section("outputs", [f"{output.node} -> {target(pipeline, output.topic)}" for output in pipeline.outputs])
    return "".join(f"{shown(line)}\n" for line in lines)


def _trigger_line(trigger: Trigger, inputs: Collection[str]) -> str:
    mapped = ", ".join(f"{name} <- {path}" for name, path in fills(trigger, inputs))
    spread = "the payload's fields by name" if trigger.spread else ""
    return "  ".join(part for part in (trigger.topic, mapped, spread) if part)


def _origin(pipeline: Pipeline, node: NodeInfo, inputs: Mapping[str, bool]) -> str:
    for settings, name in (
        (pipeline.config, "run.config"),
        (pipeline.resources, "resources"),
        (pipeline.state.values(), "state"),
        (pipeline.inputs, "run.inputs"),
        (pipeline.params, "params"),
    ):
        if node.name in settings:
            return name
    return "required" if inputs[node.name] else "optional"


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}".rstrip() for line in lines)] if lines else []


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows whose cells stand under one another; a column that is empty in all of them is left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        for row in zip(*columns, strict=True)
    ]
