"""`pipelines list`, `pipelines show`: what the project has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fp_events.domain.errors import PipelineNotFound

from .arguments import PipelineArgument
from .invocation import Invocation
from .output import Column, Format, FormatOption, field, safe_block, show_facts, show_rows, show_value
from .texts import plural

if TYPE_CHECKING:
    from fp_events.domain.pipeline import Pipeline

_COLUMNS: Sequence[Column] = (
    field("name", title="pipeline"),
    Column("", lambda row: "" if row["enabled"] else "disabled", style=lambda _: "yellow"),
    Column("on", lambda row: ", ".join(row["topics"])),
    Column("publishes", lambda row: ", ".join(row["outputs"])),
    field("file"),
)
_NODES: Sequence[Column] = (
    Column("node", lambda row: row["name"]),
    field("type"),
    Column("needs", lambda row: ", ".join(row["inputs"])),
    Column("", lambda row: "input" if row["is_input"] else "output" if row["final"] else ""),
    field("where"),
    field("doc", title="what"),
)


def list_pipelines(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """List the project's pipelines."""
    invocation: Invocation = context.obj
    rows = [_row(pipeline) for _, pipeline in sorted(invocation.config().pipelines.items())]
    show_rows(
        rows,
        _COLUMNS,
        form=form,
        ids=lambda row: str(row["name"]),
        empty="no pipelines; `fp-events new NAME` makes one",
    )


def show(
    context: typer.Context,
    name: PipelineArgument,
    code: Annotated[bool, typer.Option("--code", help="Show the module's code as well.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show a pipeline: its nodes, its settings, its code."""
    from fp_events import app

    invocation: Invocation = context.obj
    config = invocation.config()
    pipeline = config.pipelines.get(name)
    if pipeline is None:
        raise PipelineNotFound(name, sorted(config.pipelines))
    if form is Format.IDS:
        print(name)
        return
    nodes = [_node(node) for node in app.catalogue(config).nodes(pipeline)]
    settings = config.show()["pipelines"][name]
    source = _source(config.root, pipeline) if code else None
    if form is not Format.TABLE:
        shown = {**_row(pipeline), "nodes": nodes, "settings": settings}
        show_value({**shown, "code": source} if code else shown, form=form)
        return
    row = _row(pipeline)
    show_facts([("pipeline", name), ("on", ", ".join(row["topics"])), ("publishes", ", ".join(row["outputs"]))])
    print(f"\n{plural(len(nodes), 'node')}")
    show_rows(nodes, _NODES, form=form, ids=lambda node: str(node["name"]), empty="no nodes")
    print(f"\nsettings ({pipeline.where})")
    show_value(settings, form=Format.YAML)
    if source is not None:
        print(f"\n{row['file']}\n{safe_block(source)}")


def _row(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "enabled": pipeline.enabled,
        "topics": [trigger.topic for trigger in pipeline.triggers],
        "outputs": [output.topic or output.node for output in pipeline.outputs],
        "file": _file(pipeline),
    }


def _file(pipeline: Pipeline) -> str:
    return pipeline.module.replace(".", "/") + ".py"


def _source(root: str, pipeline: Pipeline) -> str:
    return Path(root, _file(pipeline)).read_text(encoding="utf-8")


def _node(node: Any) -> dict[str, Any]:
    return {
        "name": node.name,
        "type": node.type,
        "inputs": list(node.inputs),
        "is_input": node.is_input,
        "final": node.final,
        "where": node.where,
        "doc": node.doc,
        "tags": dict(node.tags),
    }
