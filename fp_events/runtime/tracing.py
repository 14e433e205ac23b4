"""Attempts of which more is known than what they return: what happened to each node."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from fp_events.domain.marks import ATTEMPT_ENDS
from fp_events.domain.observation import NodeRecord, encode_nodes
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.ports import Plan, TracedRun
from fp_events.domain.run import Attempt


def traces(pipeline: Pipeline, plan: Plan, *, message: bool) -> bool:
    """Whether runs of a plan are traced; `message`: those that a message caused."""
    if pipeline.trace == "auto":
        return plan.is_marked or not message
    return pipeline.trace == "always"


class Tracing:
    """One attempt of a plan that is traced, or has marked nodes, which are told when the attempt is given up."""

    def __init__(self, plan: Plan, attempt: Attempt, *, traced: bool) -> None:
        self.is_async = plan.is_async
        self._outputs = plan.outputs
        self._traced: TracedRun | None = plan.traced() if traced else None
        self._run: Plan | TracedRun = plan if self._traced is None else self._traced
        if plan.is_marked and attempt.timeout is not None:
            ATTEMPT_ENDS.set(time.monotonic() + attempt.timeout)

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the plan's."""
        return self._run.execute(inputs)

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the plan's."""
        return await self._run.execute_async(inputs)

    def returned(self, values: Collection[str]) -> bytes | None:
        """What happened to nodes; without a trace, which outputs were skipped."""
        if self._traced is not None:
            return encode_nodes(self._traced.nodes())
        skipped = [name for name in self._outputs if name not in values]
        return encode_nodes([_skipped(name) for name in skipped]) if skipped else None

    def raised(self, error: BaseException) -> bytes | None:
        """What happened to nodes before `error` ended the attempt; None where it came before any of them."""
        nodes = () if self._traced is None else self._traced.nodes(error)
        return encode_nodes(nodes) if nodes else None


def _skipped(node: str) -> NodeRecord:
    return NodeRecord(node=node, status="skipped", started=0.0, duration=0.0, attempts=0)
