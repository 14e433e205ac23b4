"""Pictures of a pipeline, and of one run of it, as text, DOT, Mermaid, SVG, PNG or PDF."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from typing import Final, Literal

from fp_events.domain.errors import UsageError
from fp_events.domain.pipeline import Pipeline

from .catalogue import Catalogue
from .graph_text import text
from .picture import Box, Kind, Picture, RunDrawn, Status, picture_of

TextFormat = Literal["text", "dot", "mermaid", "svg"]
GraphFormat = Literal[TextFormat, "png", "pdf"]

#: File name's ending -> format.
ENDINGS: Final[Mapping[str, GraphFormat]] = {
    ".svg": "svg",
    ".png": "png",
    ".pdf": "pdf",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".txt": "text",
}

#: Seconds that Graphviz may take.
_PATIENCE: Final = 120

#: Status -> (colour inside, colour of the frame). The status stands in the box as text too.
_COLOURS: Final[Mapping[Status, tuple[str, str]]] = {
    "succeeded": ("#bbf7d0", "#15803d"),
    "failed": ("#fecaca", "#b91c1c"),
    "skipped": ("#e5e7eb", "#6b7280"),
    "cached": ("#bfdbfe", "#1d4ed8"),
    "not reached": ("#ffffff", "#9ca3af"),
}

_DOT_SHAPES: Final[Mapping[Kind, str]] = {
    "trigger": 'shape=cds, style=filled, fillcolor="#dbeafe"',
    "input": 'shape=box, style="rounded,dashed"',
    "node": 'shape=box, style="rounded"',
    "final": 'shape=box, style="rounded,bold"',
    "output": 'shape=cds, style=filled, fillcolor="#dcfce7"',
}

_MERMAID_FRAMES: Final[Mapping[Kind, tuple[str, str]]] = {
    "trigger": ("[/", "/]"),
    "input": ("([", "])"),
    "node": ("[", "]"),
    "final": ("[[", "]]"),
    "output": ("[\\", "\\]"),
}


def draw(catalogue: Catalogue, pipeline: Pipeline, picture: GraphFormat, run: RunDrawn | None = None) -> bytes:
    """The pipeline, or one run of it, in one of the formats; UTF-8 where it is text.

    Raises ConfigError as `Catalogue.plan` does, and UsageError where Graphviz is needed and missing.
    """
    if picture == "text":
        return text(catalogue, pipeline, run).encode()
    found = picture_of(catalogue, pipeline, run)
    if picture == "mermaid":
        return mermaid(found).encode()
    return dot(found).encode() if picture == "dot" else rendered(found, picture)


def dot(picture: Picture) -> str:
    """The picture for Graphviz."""
    lines = [f'digraph "{_dot_text(picture.name)}" {{', "  rankdir=LR;", '  node [fontname="Helvetica", fontsize=11];']
    if picture.title:
        lines.append(f'  label="{_dot_text(picture.title)}"; labelloc=t; fontname="Helvetica";')
    for box in picture.boxes:
        label = "\\n".join(_dot_text(line) for line in (box.title, *box.details))
        lines.append(f'  {box.key} [label="{label}", {_dot_shape(box)}];')
    for arrow in picture.arrows:
        style = ", style=dashed, constraint=false" if arrow.dashed else ""
        lines.append(f'  {arrow.start} -> {arrow.end} [label="{_dot_text(arrow.label)}"{style}];')
    return "\n".join([*lines, "}"]) + "\n"


def _dot_shape(box: Box) -> str:
    shape = _DOT_SHAPES[box.kind]
    if box.status:
        inside, frame = _COLOURS[box.status]
        style = "rounded,filled,dashed" if box.status in ("skipped", "not reached") else "rounded,filled"
        style += ",bold" if box.kind == "final" else ""
        shape = f'shape=box, style="{style}", fillcolor="{inside}", color="{frame}"'
    # Several frames, one behind the other, for as many branches as there are items.
    return f"{shape}, peripheries=2" if box.is_many else shape


def mermaid(picture: Picture) -> str:
    """The picture for Mermaid, which GitHub and many editors draw."""
    lines = ["flowchart LR"]
    if picture.title:
        lines.append(f'  head["{_mermaid_text(picture.title)}"]')
        lines.append("  style head fill:none,stroke:none")
    for box in picture.boxes:
        opened, closed = ("[[", "]]") if box.is_many else _MERMAID_FRAMES[box.kind]
        label = "<br/>".join(_mermaid_text(line) for line in (box.title, *box.details))
        lines.append(f'  {box.key}{opened}"{label}"{closed}')
    for arrow in picture.arrows:
        line = "-.->" if arrow.dashed else "-->"
        label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {arrow.start} {line}{label} {arrow.end}")
    for status, (inside, frame) in _COLOURS.items():
        keys = [box.key for box in picture.boxes if box.status == status]
        if keys:
            name = status.replace(" ", "")
            lines.append(f"  classDef {name} fill:{inside},stroke:{frame},color:#111827")
            lines.append(f"  class {','.join(keys)} {name}")
    return "\n".join(lines) + "\n"


def rendered(picture: Picture, form: Literal["svg", "png", "pdf"]) -> bytes:
    """The picture drawn by Graphviz. Raises UsageError where its program `dot` is missing or fails."""
    program = shutil.which("dot")
    if program is None:
        raise UsageError(
            f"a drawing as {form.upper()} needs Graphviz, and there is no program 'dot'",
            mend="install it (`apt install graphviz`, `brew install graphviz`), or ask for mermaid, dot or text",
        )
    source = dot(picture).encode()
    try:
        done = subprocess.run(  # noqa: S603 (no shell, no words of a user)
            [program, f"-T{form}"], input=source, capture_output=True, check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        what = f"Graphviz has not drawn '{picture.name}' within {_PATIENCE} s"
        raise UsageError(what, mend="ask for mermaid, dot or text") from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.decode(errors="replace").split())
        raise UsageError(f"Graphviz cannot draw '{picture.name}': {reason}", mend="ask for mermaid or text")
    return done.stdout


def _dot_text(label: str) -> str:
    """A label inside quotes; Graphviz reads backslashes and HTML's entities in it."""
    return label.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def _mermaid_text(label: str) -> str:
    """Entities for what Mermaid or HTML would read as its own."""
    marks = {"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\\": "#92;"}
    return "".join(marks.get(sign, sign) for sign in label)
