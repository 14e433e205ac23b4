"""Inputs annotated with models, dataclasses and TypedDicts validate what comes in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from fp_events import app, codecs, config
from fp_events.domain.errors import ConfigError
from fp_events.domain.message import Message
from fp_events.domain.pipeline import Pipeline, Trigger
from fp_events.domain.run import Attempt, Ended, PlanRef
from fp_events.plans.catalogue import Catalogue
from fp_events.runtime.handler import PipelineHandler
from tests.brokers import mosquitto
from tests.endtoend.harness import Listener, send, serving, write_project

from .conftest import House

MODULE = """
from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired, Optional, TypedDict

from pydantic import BaseModel, Field


class Reading(BaseModel):
    value: float = Field(gt=-273.15)
    unit: str = "C"
    at: datetime | None = None


class Strict(BaseModel, strict=True):
    value: int


@dataclass
class Place:
    line: str
    floor: int = 0


class Tags(TypedDict):
    owner: str
    shift: NotRequired[int]


def result(reading: {hint}) -> dict:
    return {{"kind": type(reading).__name__, "value": repr(reading)}}


def plain(count: int, name: str, flag: bool) -> list:
    return [count, name, flag]
"""


def handler(folder: Path, hint: str, **settings: Any) -> PipelineHandler:
    write_project(folder, {"pipelines/p.py": MODULE.format(hint=hint)})
    given: dict[str, Any] = {"triggers": (Trigger(topic="in", map={"reading": "payload"}),), "final_vars": ("result",)}
    pipeline = Pipeline(name="p", module="pipelines.p", **{**given, **settings})
    return PipelineHandler(pipeline, Catalogue(folder), codecs, "results/{}".format)


def attempt(payload: object) -> Attempt:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    message = Message(topic="in", payload=data, received_at=datetime.now(UTC))
    return Attempt(run_id="r", number=1, plan=PlanRef("p"), trigger=0, message=message)


@pytest.mark.parametrize(
    ("hint", "payload", "kind", "value"),
    [
        ("Reading", {"value": 1}, "Reading", "Reading(value=1.0, unit='C', at=None)"),
        ("Reading", {"value": "2.5", "more": 1}, "Reading", "Reading(value=2.5, unit='C', at=None)"),
        ("Reading | None", None, "NoneType", "None"),
        ("Optional[Reading]", {"value": 1, "unit": "F"}, "Reading", "Reading(value=1.0, unit='F', at=None)"),
        ("list[Reading]", [{"value": 1}], "list", "[Reading(value=1.0, unit='C', at=None)]"),
        ("dict[str, Place]", {"a": {"line": "x"}}, "dict", "{'a': Place(line='x', floor=0)}"),
        ("Place", {"line": "x", "floor": "3"}, "Place", "Place(line='x', floor=3)"),
        ("Tags", {"owner": "eve"}, "dict", "{'owner': 'eve'}"),
        ("list[Tags]", [{"owner": "eve", "shift": 2}], "list", "[{'owner': 'eve', 'shift': 2}]"),
        ("Place | Reading", {"value": 3}, "Reading", "Reading(value=3.0, unit='C', at=None)"),
        # Other annotations take what comes.
        ("int", "seven", "str", "'seven'"),
        ("list[int]", ["x"], "list", "['x']"),
    ],
)
def test_a_payload_becomes_what_the_annotation_says(
    tmp_path: Path, hint: str, payload: object, kind: str, value: str
) -> None:
    """Nested ones too; numbers in text will do, unknown fields are passed over, other annotations take what comes."""
    result = handler(tmp_path, hint).handle(attempt(payload))

    assert result.failure is None
    assert {"result": {"kind": kind, "value": value}} == orjson.loads(result.values or b"")


@pytest.mark.parametrize(
    ("hint", "payload", "words"),
    [
        (
            "Reading",
            {"value": "hot"},
            "reading.value: Input should be a valid number, unable to parse string as a number",
        ),
        ("Reading", {"value": None}, "reading.value: Input should be a valid number"),
        ("Reading", {"value": -300}, "reading.value: Input should be greater than -273.15"),
        ("Reading", {}, "reading.value: Field required"),
        ("Reading", 5, "reading: Input should be a valid dictionary or instance of Reading"),
        ("Strict", {"value": "5"}, "reading.value: Input should be a valid integer"),
        ("Place", {"floor": []}, "reading.line: Field required; reading.floor: Input should be a valid integer"),
        ("Tags", {"owner": 3}, "reading.owner: Input should be a valid string"),
        ("list[Reading]", [{"value": 1}, {}], "reading[1].value: Field required"),
        ("dict[str, Place]", {"a": {}}, "reading.a.line: Field required"),
        (
            "list[Tags]",
            [{}, {}, {}, {}, {}],
            "; ".join([f"reading[{n}].owner: Field required" for n in range(3)] + ["and 2 more"]),
        ),
    ],
)
def test_a_violation_is_rejected_and_names_the_field(tmp_path: Path, hint: str, payload: object, words: str) -> None:
    """The values themselves are not repeated."""
    result = handler(tmp_path, hint).handle(attempt(payload))

    assert (Ended.REJECTED, words) == (result.ended, result.failure and result.failure.message)


@pytest.mark.parametrize(
    ("trigger", "payload", "words"),
    [
        ({"map": {"reading": "payload.r"}}, {"r": {"value": "x"}}, "reading.value: "),
        ({"map": {"reading": "payload.r ?? {}"}}, {}, "reading.value: Field required"),
        ({"spread": True}, {"reading": {"unit": 1}}, "reading.value: Field required; reading.unit: "),
    ],
)
def test_every_way_into_an_input_is_validated(
    tmp_path: Path, trigger: dict[str, Any], payload: object, words: str
) -> None:
    """Maps with and without defaults, and spread payloads."""
    made = handler(tmp_path, "Reading", triggers=(Trigger(topic="in", **trigger),))

    result = made.handle(attempt(payload))

    assert Ended.REJECTED is result.ended
    assert result.failure is not None
    assert result.failure.message.startswith(words)


def test_what_a_command_gives_is_validated(tmp_path: Path) -> None:
    """Its inputs are JSON like a payload."""
    made = handler(tmp_path, "Reading", inputs={"reading": {"value": 1}})

    def asked(request: dict[str, Any]) -> Any:
        data = json.dumps(request).encode()
        result = made.handle(Attempt(run_id="r", number=1, plan=PlanRef("p"), request=data))
        return result.failure.message if result.failure else orjson.loads(result.values or b"")["result"]["value"]

    assert "Reading(value=1.0, unit='C', at=None)" == asked({})
    assert "Reading(value=7.0, unit='C', at=None)" == asked({"inputs": {"reading": {"value": 7}}})
    assert "reading.value: Field required" == asked({"inputs": {"reading": {"v": 7}}})


def test_settings_are_validated_before_anything_runs(tmp_path: Path) -> None:
    """`params` and `run.inputs` become what the annotation says, or are an error of the configuration."""
    wrong = {"reading": {"value": "warm"}}
    with pytest.raises(ConfigError) as refused:
        handler(tmp_path, "Reading", params=wrong, triggers=())
    assert "`params`: reading.value: Input should be a valid number" in str(refused.value)
    files = {"conf/pipelines/p.yml": f"params: {json.dumps(wrong)}\nrun: {{final_vars: [result]}}\n"}
    problems = app.check(config.load(write_project(tmp_path, {**files, "conf/project.yml": "name: p\n"}), environ={}))
    what = "`params`: reading.value: Input should be a valid number, unable to parse string as a number"
    assert [f"conf/pipelines/p.yml:1: {what}; change the value, or the annotation"] == [str(each) for each in problems]


def test_the_version_knows_the_fields(tmp_path: Path) -> None:
    """Another constraint is another version; a comment is not."""
    made = handler(tmp_path, "Reading")
    first = Catalogue(tmp_path).plan(made._pipeline).ref.version
    file = tmp_path / "pipelines/p.py"
    file.write_text(file.read_text() + "# nothing\n")
    second = Catalogue(tmp_path).plan(made._pipeline).ref.version
    file.write_text(file.read_text().replace("gt=-273.15", "gt=0"))
    assert (True, False) == (first == second, first == Catalogue(tmp_path).plan(made._pipeline).ref.version)


def test_plans_without_such_annotations_pay_nothing(tmp_path: Path) -> None:
    """Their mappers are those that they always had."""
    plain = handler(tmp_path, "float")
    typed = handler(tmp_path, "Reading")
    assert ({}, True) == (dict(plain._default.validators), bool(typed._default.validators))
    assert "<map>" == plain._default.mappers[0].__code__.co_filename


def test_a_type_that_cannot_be_read_warns(tmp_path: Path) -> None:
    """It is taken as it comes."""
    module = """
from dataclasses import dataclass

class Socket:
    pass

@dataclass
class Link:
    socket: Socket

def result(link: Link) -> int:
    return 1
"""
    files = {
        "conf/project.yml": "name: p\n",
        "conf/pipelines/p.yml": "triggers: [{topic: in, map: {link: payload}}]\n",
        "pipelines/p.py": module,
    }
    problems = app.check(config.load(write_project(tmp_path, files), environ={}))
    assert [
        (True, "input 'link' is taken as Link, which pydantic cannot read: it is not validated", "pipelines/p.py:11")
    ] == [(problem.warning, problem.what, problem.where) for problem in problems]


async def test_a_wrong_message_is_a_dead_letter_with_its_own_bytes(tmp_path: Path) -> None:
    """Through the daemon, in threads and in processes: never retried, the field is named."""
    settings = "triggers: [{topic: in/%s, map: {reading: payload}}]\noutputs: [{node: result, topic: out}]\n"
    settings += "run: {max_retries: 5, executor: {type: %s, max_workers: 1}}\n"
    async with mosquitto() as broker, Listener(broker.port, "out", "fp/typed/dlq/#") as listener:
        files = {"conf/project.yml": f'name: typed\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n'}
        for name, executor in (("threads", "threadpool"), ("procs", "processpool")):
            files[f"conf/pipelines/{name}.yml"] = settings % (name, executor)
            files[f"pipelines/{name}.py"] = MODULE.format(hint="Reading")
        async with serving(write_project(tmp_path, files)) as daemon:
            for name in ("threads", "procs"):
                await send(broker.port, f"in/{name}", b'{"value" : []}')
                await send(broker.port, f"in/{name}", b'{"value" : 3}')
            letters = [(await listener.next(f"fp/typed/dlq/{name}"))[0] for name in ("threads", "procs")]
            results = await listener.next("out", 2)
            assert await daemon.stop() == 0

    assert [b'{"value" : []}'] * 2 == [letter.payload for letter in letters]
    facts = {(letter.user["outcome"], letter.user["attempts"], letter.user["error"]) for letter in letters}
    name = "InputInvalid"
    assert {("rejected", "1", f"{name}: reading.value: Input should be a valid number")} == facts
    assert ["Reading"] * 2 == [message.json["kind"] for message in results]


STATE_PY = """
from dataclasses import dataclass


@dataclass
class Window:
    seen: int
    last: float


def window(value: float, previous: Window | None) -> Window:
    return Window(seen=1 if previous is None else previous.seen + 1, last=value)


def result(window: Window, previous: Window | None) -> list:
    return [window.seen, None if previous is None else previous.last]
"""


async def test_state_comes_back_as_what_it_was(house: House) -> None:
    """A dataclass that one run keeps is a dataclass for the next one."""
    trigger = {"topic": "in/work", "map": {"value": "payload.n"}, "key": "k"}
    house.pipeline(code=STATE_PY, triggers=[trigger], state={"window": "previous"})
    async with house.serving() as daemon:
        for number in range(3):
            house.publish("in/work", number)
        await daemon.until(lambda: len(house.published("out/work")) == 3)
        assert await daemon.stop()

    assert [[1, None], [2, 0.0], [3, 1.0]] == house.published("out/work")
