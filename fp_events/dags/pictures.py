"""A DAG of tasks as text, Mermaid or DOT."""

from __future__ import annotations

from collections.abc import Iterator

from fp_events.domain.durations import format_duration
from fp_events.domain.errors import FlowkitError
from fp_events.tasks.binding import Binding
from fp_events.tasks.wiring import Wiring


def draw(dag: str, wiring: Wiring, form: str) -> str:
    """The picture; raises FlowkitError for a form that there is not."""
    forms = {"text": _text, "mermaid": _mermaid, "dot": _dot}
    if form not in forms:
        raise FlowkitError(f"DAG '{dag}' can be drawn as 'text', 'mermaid' or 'dot', not {form!r}")
    return "\n".join(forms[form](dag, wiring))


def _text(dag: str, wiring: Wiring) -> Iterator[str]:
    count = len(wiring.bindings)
    if count == 0:
        yield f"DAG '{dag}': Empty DAG, it has no tasks"
        return
    yield f"DAG '{dag}': {count} task{'s' * (count != 1)}"
    downstream = wiring.downstream()
    for name, binding in wiring.bindings.items():
        yield ""
        yield "  ".join([name, *_settings(binding)])
        if binding.upstream:
            yield f"  Upstream: {', '.join(binding.upstream)}"
        if binding.inputs:
            yield f"  Inputs: {', '.join(binding.inputs)}"
        if downstream[name]:
            yield f"  Downstream: {', '.join(downstream[name])}"


def _mermaid(dag: str, wiring: Wiring) -> Iterator[str]:
    keys = _keys(wiring)
    yield "---"
    yield f"title: {_escaped(dag)}"
    yield "---"
    yield "flowchart LR"
    for name, binding in wiring.bindings.items():
        opened, closed = ("{{", "}}") if binding.task.when is not None else ("[", "]")
        yield f'  {keys[name]}{opened}"{_escaped(name)}"{closed}'
    for name in wiring.inputs:
        yield f'  {keys[name]}(["{_escaped(name)}"])'
    for start, end in _edges(wiring):
        yield f"  {keys[start]} --> {keys[end]}"


def _dot(dag: str, wiring: Wiring) -> Iterator[str]:
    keys = _keys(wiring)
    yield f'digraph "{_quoted(dag)}" {{'
    yield "  rankdir=LR;"
    for name, binding in wiring.bindings.items():
        label = "\\n".join(_quoted(part) for part in [name, *_settings(binding)])
        yield f'  {keys[name]} [label="{label}", shape={"hexagon" if binding.task.when is not None else "box"}];'
    for name in wiring.inputs:
        yield f'  {keys[name]} [label="{_quoted(name)}", shape=ellipse, style=dashed];'
    for start, end in _edges(wiring):
        yield f"  {keys[start]} -> {keys[end]};"
    yield "}"


def _settings(binding: Binding) -> list[str]:
    task = binding.task
    settings = []
    if task.when is not None:
        settings.append("[when]")
    if task.retry is not None:
        settings.append(f"[{task.retry.attempts} calls at most]")
    if task.timeout is not None:
        settings.append(f"[timeout {format_duration(task.timeout)}]")
    if task.is_async:
        settings.append("[async]")
    return settings


def _keys(wiring: Wiring) -> dict[str, str]:
    tasks = {name: f"t{number}" for number, name in enumerate(wiring.bindings)}
    return {**{name: f"i{number}" for number, name in enumerate(wiring.inputs)}, **tasks}


def _edges(wiring: Wiring) -> Iterator[tuple[str, str]]:
    for name, binding in wiring.bindings.items():
        yield from ((source, name) for source in binding.upstream)
        yield from ((source, name) for source in binding.inputs)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _escaped(text: str) -> str:
    """Entities for what Mermaid or HTML would read as its own."""
    marks = {"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\n": " "}
    return "".join(marks.get(sign, sign) for sign in text)
