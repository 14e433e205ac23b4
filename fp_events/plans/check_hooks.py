"""What is wrong with a pipeline's hooks and resources where each of them can be imported and called."""

from __future__ import annotations

from collections.abc import Iterator

from fp_events.domain.errors import Problem
from fp_events.domain.hooks import Hooks
from fp_events.domain.pipeline import Pipeline

from .awaiting import is_async
from .selection import Selection, nearest


def check_hooks(pipeline: Pipeline, hooks: Hooks, selection: Selection) -> Iterator[Problem]:
    """Resources that no function takes, or that are asked for as a result; hooks that nothing can await."""
    graph = selection.graph
    taken = [name for name, node in graph.nodes.items() if node.user_defined]
    for name, named in pipeline.resources.items():
        if named.shared or name in taken:
            continue
        mend = nearest(name, taken, f"remove it, or add a parameter '{name}' to a function of {graph.file}")
        what = f"`resources` opens '{name}', but no function takes that"
        if name in graph.nodes:
            what = f"`resources` opens '{name}', which function '{name}' at {graph.where(name)} computes"
            mend = "rename one of them"
        yield Problem(what=what, where=named.where or graph.file, mend=mend)
    for name in selection.outputs:
        if name in hooks.resources:
            yield Problem(
                what=f"'{name}' is a resource, which stays with its worker and cannot be a result",
                where=pipeline.where_of("run.final_vars") or graph.file,
                mend="ask for a node that uses it",
            )
    for kind in ("before_node", "after_node"):
        for hook in hooks.of(kind):
            if hook.is_async and not is_async(selection):
                yield Problem(
                    what=f"{kind} {hook.text} is async, and no function of pipeline '{pipeline.name}' awaits",
                    where=hook.where or pipeline.where,
                    mend="write it as an ordinary function",
                )
