"""Which attempts are traced, and what a result is when nodes are skipped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from fp_events import codecs
from fp_events.domain.message import Message
from fp_events.domain.observation import NodeRecord, RunRecord, decode_nodes, encode_nodes
from fp_events.domain.pipeline import Output, Pipeline, Trigger
from fp_events.domain.run import Attempt, AttemptResult, Cause, Ended, Outcome, PlanRef
from fp_events.plans.catalogue import Catalogue
from fp_events.runtime.handler import PipelineHandler
from fp_events.runtime.names import Names
from fp_events.runtime.words import MOST_NODES, Words

PLAIN = """
def doubled(value: float) -> float:
    return 2 * value

def broken(doubled: float) -> float:
    return doubled / 0
"""
MARKED = """
from fp_events import when

@when(lambda value: value > 80)
def alert(value: float) -> str:
    return f"hot {value}"

def count(alert: str, previous_count: int | None) -> int:
    return (previous_count or 0) + 1

def last(value: float) -> float:
    return value
"""
TRIGGER = Trigger(topic="t", map={"value": "payload.v"})

Policy = Literal["auto", "always", "never"]


def handler(folder: Path, module: str, *outputs: str, trace: Policy = "auto", **settings: Any) -> PipelineHandler:
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "p.py").write_text(module)
    made = tuple(Output(node=node) for node in outputs)
    pipeline = Pipeline(name="p", module="pipelines.p", triggers=(TRIGGER,), outputs=made, trace=trace, **settings)
    return PipelineHandler(pipeline, Catalogue(folder), codecs, "results/{}".format)


def attempt(value: float, **settings: Any) -> Attempt:
    message = Message(topic="t", payload=json.dumps({"v": value}).encode(), received_at=datetime.now(UTC))
    return Attempt(run_id="r", number=1, plan=PlanRef("p"), trigger=0, message=message, **settings)


def asked(value: float) -> Attempt:
    request = json.dumps({"inputs": {"value": value}}).encode()
    return Attempt(run_id="r", number=1, plan=PlanRef("p"), request=request)


def nodes(result: AttemptResult) -> list[tuple[str, str]]:
    return [(record.node, record.status) for record in decode_nodes(result.nodes)]


@pytest.mark.parametrize(
    ("module", "output", "trace", "by_message", "by_command"),
    [
        (PLAIN, "doubled", "auto", False, True),
        (PLAIN, "doubled", "always", True, True),
        (PLAIN, "doubled", "never", False, False),
        (MARKED, "alert", "auto", True, True),
        (MARKED, "alert", "always", True, True),
        (MARKED, "alert", "never", False, False),
        (MARKED, "last", "auto", False, True),
    ],
)
def test_which_runs_are_traced(
    tmp_path: Path, module: str, output: str, trace: Policy, by_message: bool, by_command: bool
) -> None:
    """`auto`: runs that no message caused, and those of plans with marks in them."""
    made = handler(tmp_path, module, output, trace=trace)

    results = [made.handle(attempt(90)), made.handle(asked(90)), made.handle(attempt(90))]

    assert [by_message, by_command, by_message] == [result.nodes is not None for result in results]
    for result in results:
        assert [(output, "succeeded")] == nodes(result) or result.nodes is None


def test_a_failed_attempt_says_how_far_it_came(tmp_path: Path) -> None:
    """The node that raised has the error; what came after it is not there."""
    made = handler(tmp_path, PLAIN, "broken", trace="always")

    result = made.handle(attempt(1))

    assert Ended.RAISED is result.ended
    assert [("doubled", "succeeded"), ("broken", "failed")] == nodes(result)
    assert decode_nodes(result.nodes)[1].error.startswith("ZeroDivisionError: ")
    assert made.handle(Attempt(run_id="r", number=1, plan=PlanRef("p"))).nodes is None


@pytest.mark.parametrize("trace", ["auto", "never"])
def test_outputs_that_were_skipped_publish_nothing(tmp_path: Path, trace: Policy) -> None:
    """All of them skipped is a success; it is told which were, with a trace and without."""
    made = handler(tmp_path, MARKED, "alert", trace=trace)

    cool, hot = made.handle(attempt(20)), made.handle(attempt(90))

    assert (Ended.RETURNED, (), b"{}") == (cool.ended, cool.publications, cool.values)
    assert [("alert", "skipped")] == nodes(cool)
    assert (1, b'{"alert":"hot 90"}') == (len(hot.publications), hot.values)


def test_a_state_that_was_skipped_stays(tmp_path: Path) -> None:
    """Beside one that is new; a key without any gets none."""
    state = {"count": "previous_count", "last": "previous_last"}
    made = handler(tmp_path, MARKED, "last", "count", state=state)

    first = made.handle(attempt(90))
    second = made.handle(attempt(20, state=first.state))
    alone = made.handle(attempt(20))

    assert first.state is not None
    assert second.state is not None
    assert alone.state is not None
    assert {"count": 1, "last": 90} == codecs.decode_state(first.state)
    assert {"count": 1, "last": 20} == codecs.decode_state(second.state)
    assert {"last": 20} == codecs.decode_state(alone.state)


def test_nothing_but_skipped_state_writes_none(tmp_path: Path) -> None:
    """A first run of a key that is skipped leaves the key without state."""
    made = handler(tmp_path, MARKED, "alert", state={"count": "previous_count"})

    assert made.handle(attempt(20)).state is None


def test_records_of_nodes_come_back_as_they_were() -> None:
    """Through JSON, with whatever an error says."""
    records = (
        NodeRecord(node="a.b", status="succeeded", started=0.000001, duration=1.5, attempts=2),
        NodeRecord(node="ä", status="failed", started=2.0, duration=0.0, attempts=1, error='K: "ü\n'),
    )

    assert records == decode_nodes(encode_nodes(records))
    assert () == decode_nodes(None)
    assert "caf?" == decode_nodes(encode_nodes([_with_error("caf\udce9")]))[0].error


def test_an_event_of_many_nodes_tells_of_those_that_did_not_succeed() -> None:
    """So that it stays small."""
    few = [_with_status(str(number), "succeeded") for number in range(MOST_NODES)]
    many = [*few, _with_status("skipped one", "skipped"), _with_status("last", "succeeded")]

    assert MOST_NODES == len(_event(few)["nodes"])
    assert {"skipped one": "skipped"} == _event(many)["nodes"]
    assert "nodes" not in _event(None)


def _event(records: Sequence[NodeRecord] | None) -> dict[str, Any]:
    now = datetime.now(UTC)
    record = RunRecord(
        run_id="r", pipeline="p", outcome=Outcome.SUCCEEDED, cause=Cause.MESSAGE, trigger="t", key=None, attempt=1,
        version="v", created_at=now, finished_at=now, duration=0.1, failure=None,
        nodes=None if records is None else encode_nodes(records),
    )  # fmt: skip
    (told,) = Words(Names("fp/works", "daemon")).ended([record])
    body: dict[str, Any] = json.loads(told.payload)
    return body


def _with_error(error: str) -> NodeRecord:
    return NodeRecord(node="n", status="failed", started=0.0, duration=0.0, attempts=1, error=error)


def _with_status(node: str, status: Literal["succeeded", "skipped"]) -> NodeRecord:
    return NodeRecord(node=node, status=status, started=0.0, duration=0.0, attempts=1)
