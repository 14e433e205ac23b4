"""Pictures of a pipeline: its triggers, nodes and outputs as text, DOT, Mermaid or SVG."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fp_events.domain.errors import UsageError
from fp_events.domain.pipeline import Pipeline, Trigger

from .catalogue import Catalogue, NodeInfo
from .sources import default_sources

GraphFormat = Literal["text", "dot", "mermaid", "svg"]
Kind = Literal["trigger", "input", "node", "final", "output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """One box of a picture."""

    #: Safe in every format: a letter and a number.
    key: str
    kind: Kind
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Arrow:
    """From one box to another."""

    start: str
    end: str
    label: str = ""
    #: Not a value within one run: state that the next run gets.
    dashed: bool = False


def draw(catalogue: Catalogue, pipeline: Pipeline, picture: GraphFormat) -> bytes:
    """The pipeline in one of the formats, UTF-8 where it is text. Raises ConfigError as `Catalogue.plan` does."""
    if picture == "svg":
        return svg(catalogue, pipeline)
    made = {"text": text, "dot": dot, "mermaid": mermaid}[picture](catalogue, pipeline)
    return made.encode()


def text(catalogue: Catalogue, pipeline: Pipeline) -> str:
    """What a terminal shows: one line per node, each after what it needs."""
    nodes = catalogue.nodes(pipeline)
    plan = catalogue.plan(pipeline)
    lines = [f"{pipeline.name}  version {plan.ref.version}"]
    lines += _section("triggers", [_trigger_line(trigger, plan.inputs) for trigger in pipeline.triggers])
    inputs = [(node.name, node.type, _origin(pipeline, node, plan.inputs)) for node in nodes if node.is_input]
    lines += _section("inputs", _columns(inputs))
    computed = [
        (f"{node.name}{' *' if node.final else ''}", node.type, f"<- {', '.join(node.inputs)}" if node.inputs else "")
        for node in nodes
        if not node.is_input
    ]
    lines += _section("nodes (* returned)", _columns(computed))
    lines += _section("state", [f"{node} -> {name}, in the key's next run" for node, name in pipeline.state.items()])
    lines += _section("outputs", [f"{output.node} -> {_target(pipeline, output.topic)}" for output in pipeline.outputs])
    return "\n".join(lines) + "\n"


def dot(catalogue: Catalogue, pipeline: Pipeline) -> str:
    """The pipeline for Graphviz."""
    shapes: dict[Kind, str] = {
        "trigger": 'shape=cds, style=filled, fillcolor="#dbeafe"',
        "input": 'shape=box, style="rounded,dashed"',
        "node": 'shape=box, style="rounded"',
        "final": 'shape=box, style="rounded,bold"',
        "output": 'shape=cds, style=filled, fillcolor="#dcfce7"',
    }
    boxes, arrows = _picture(catalogue, pipeline)
    lines = [f'digraph "{_dot_text(pipeline.name)}" {{', "  rankdir=LR;", '  node [fontname="Helvetica", fontsize=11];']
    for box in boxes:
        label = _dot_text(box.title) + (f"\\n{_dot_text(box.detail)}" if box.detail else "")
        lines.append(f'  {box.key} [label="{label}", {shapes[box.kind]}];')
    for arrow in arrows:
        style = ", style=dashed, constraint=false" if arrow.dashed else ""
        lines.append(f'  {arrow.start} -> {arrow.end} [label="{_dot_text(arrow.label)}"{style}];')
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(catalogue: Catalogue, pipeline: Pipeline) -> str:
    """The pipeline for Mermaid, which GitHub and many editors draw."""
    frames: dict[Kind, tuple[str, str]] = {
        "trigger": ("[/", "/]"),
        "input": ("([", "])"),
        "node": ("[", "]"),
        "final": ("[[", "]]"),
        "output": ("[\\", "\\]"),
    }
    boxes, arrows = _picture(catalogue, pipeline)
    lines = ["flowchart LR"]
    for box in boxes:
        opened, closed = frames[box.kind]
        label = _mermaid_text(box.title) + (f"<br/>{_mermaid_text(box.detail)}" if box.detail else "")
        lines.append(f'  {box.key}{opened}"{label}"{closed}')
    for arrow in arrows:
        line = "-.->" if arrow.dashed else "-->"
        label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {arrow.start} {line}{label} {arrow.end}")
    return "\n".join(lines) + "\n"


def svg(catalogue: Catalogue, pipeline: Pipeline) -> bytes:
    """The pipeline drawn by Graphviz. Raises UsageError where its program `dot` is missing or fails."""
    source = dot(catalogue, pipeline)
    program = shutil.which("dot")
    if program is None:
        raise UsageError(
            "a drawing as SVG needs Graphviz, and there is no program 'dot'",
            mend="install it (`apt install graphviz`, `brew install graphviz`), or ask for mermaid, dot or text",
        )
    done = subprocess.run([program, "-Tsvg"], input=source.encode(), capture_output=True, check=False)  # noqa: S603 (no shell, no words of a user)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"Graphviz cannot draw '{pipeline.name}': {reason}", mend="ask for mermaid or text")
    return done.stdout


def _picture(catalogue: Catalogue, pipeline: Pipeline) -> tuple[list[_Box], list[_Arrow]]:
    nodes = catalogue.nodes(pipeline)
    keys = {node.name: f"n{number}" for number, node in enumerate(nodes)}
    boxes: list[_Box] = []
    arrows: list[_Arrow] = []
    for number, trigger in enumerate(pipeline.triggers):
        boxes.append(_Box(key=f"t{number}", kind="trigger", title=trigger.topic, detail=""))
        arrows += [_Arrow(f"t{number}", keys[name], path) for name, path in _fills(trigger, keys)]
    for node in nodes:
        kind: Kind = "input" if node.is_input else "final" if node.final else "node"
        boxes.append(_Box(key=keys[node.name], kind=kind, title=node.name, detail=node.type))
        # An optional input that nothing gives is a parameter, and no box where an override cut it off.
        arrows += [_Arrow(keys[name], keys[node.name]) for name in node.inputs if name in keys]
    for kept, name in pipeline.state.items():
        if name in keys:
            arrows.append(_Arrow(keys[kept], keys[name], "next run", dashed=True))
    for number, output in enumerate(pipeline.outputs):
        boxes.append(_Box(key=f"o{number}", kind="output", title=_target(pipeline, output.topic), detail=""))
        arrows.append(_Arrow(keys[output.node], f"o{number}", "each" if output.each else ""))
    return boxes, arrows


def _fills(trigger: Trigger, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """(input, path) of what a trigger gives to the plan."""
    if trigger.map is not None:
        yield from ((name, path) for name, path in trigger.map.items() if name in keys)
    elif not trigger.spread:
        yield from ((name, path) for name, path in default_sources(trigger).items() if name in keys)


def _trigger_line(trigger: Trigger, inputs: Collection[str]) -> str:
    mapped = ", ".join(f"{name} <- {path}" for name, path in _fills(trigger, inputs))
    spread = "the payload's fields by name" if trigger.spread else ""
    return "  ".join(part for part in (trigger.topic, mapped, spread) if part)


def _origin(pipeline: Pipeline, node: NodeInfo, inputs: Mapping[str, bool]) -> str:
    if node.name in pipeline.config:
        return "run.config"
    if node.name in pipeline.state.values():
        return "state"
    if node.name in pipeline.inputs:
        return "run.inputs"
    if node.name in pipeline.resources:
        return "resources"
    if node.name in pipeline.params:
        return "params"
    return "required" if inputs[node.name] else "optional"


def _target(pipeline: Pipeline, topic: str | None) -> str:
    return topic or f"…/results/{pipeline.name}/<node>"


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}".rstrip() for line in lines)] if lines else []


def _columns(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}" for row in rows]


def _dot_text(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _mermaid_text(label: str) -> str:
    """Entities for what Mermaid or HTML would read as its own."""
    marks = {"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\n": " "}
    return "".join(marks.get(sign, sign) for sign in label)
