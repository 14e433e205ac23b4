"""A bar of a run's nodes on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hamilton.lifecycle import base
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .trouble import Trouble, harmless


class ProgressBar(
    base.BasePreGraphExecute, base.BasePreNodeExecute, base.BasePostNodeExecute, base.BasePostGraphExecute
):
    """Shows how far the runs of one pipeline are."""

    def __init__(self, pipeline: str) -> None:
        self.trouble = Trouble("progressbar", pipeline)
        self._pipeline = pipeline
        self._shown: dict[str, tuple[Progress, TaskID]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process: the same."""
        return ProgressBar, (self._pipeline,)

    @harmless
    def pre_graph_execute(
        self, *, run_id: str, graph: Any, final_vars: Sequence[str], inputs: Mapping[str, Any], **given: Any
    ) -> None:
        """A run begins."""
        nodes, given_from_outside = graph.get_upstream_nodes(list(final_vars), inputs, given.get("overrides"))
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[node]}"),
            console=Console(file=sys.stderr),
        )
        task = bar.add_task(self._pipeline, total=len(set(nodes) - set(given_from_outside)), node="")
        self._shown[run_id] = bar, task
        bar.start()

    @harmless
    def pre_node_execute(self, *, run_id: str, node_: Any, **_: Any) -> None:
        """A node begins."""
        if run_id in self._shown:
            bar, task = self._shown[run_id]
            bar.update(task, node=node_.name)

    @harmless
    def post_node_execute(self, *, run_id: str, **_: Any) -> None:
        """It has ended."""
        if run_id in self._shown:
            bar, task = self._shown[run_id]
            bar.advance(task)

    @harmless
    def post_graph_execute(self, *, run_id: str, **_: Any) -> None:
        """A run has ended."""
        if run_id in self._shown:
            bar, task = self._shown.pop(run_id)
            bar.update(task, node="")
            bar.stop()
