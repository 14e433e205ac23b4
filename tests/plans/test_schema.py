"""A pipeline's inputs and payloads as JSON Schema, judged by a validator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from fp_events import config
from fp_events.cli.main import main
from fp_events.plans.catalogue import Catalogue
from fp_events.plans.schema import input_schema
from tests.endtoend.harness import write_project

MODULE = """
from dataclasses import dataclass
from typing import Optional, TypedDict

from pydantic import BaseModel, Field

from fp_events.domain.message import Message


class Reading(BaseModel):
    value: float = Field(ge=0)
    unit: str = "C"


@dataclass
class Place:
    line: str
    reading: Optional[Reading] = None


class Opaque:
    pass


def result(
    reading: Reading,
    places: list[Place],
    count: int,
    opaque: Opaque,
    line: str,
    message: Message,
    limit: float = 5.0,
) -> int:
    return 1


def whole(payload: Reading) -> float:
    return payload.value
"""
MAP = {
    "reading": "payload.data.reading",
    "places": "payload.data.places ?? []",
    "count": "payload.counts[1]",
    "opaque": "payload.opaque",
    "line": "topic.line",
    "message": "message.topic",
}


def made(folder: Path, trigger: dict[str, Any], **settings: Any) -> Any:
    """The document for one trigger."""
    given = {"triggers": [{"topic": "in/{line}", **trigger}], "run": {"final_vars": ["result"]}, **settings}
    files = {
        "conf/project.yml": "name: p\n",
        "conf/pipelines/p.yml": json.dumps(given),
        "pipelines/p.py": MODULE,
        "hooks/r.py": "def opened() -> int:\n    return 3\n\n\ndef unpack() -> None:\n    pass\n",
    }
    loaded = config.load(write_project(folder, files), environ={})
    document = input_schema(Catalogue(folder), loaded.pipelines["p"])
    Draft202012Validator.check_schema(document)
    return document


def accepts(document: Any, value: object, part: str = "") -> bool:
    """Whether a value is what the document, or one of its parts, describes."""
    schema = {"$ref": f"#/$defs/{part}", "$defs": document["$defs"]} if part else document
    return Draft202012Validator(schema).is_valid(value)


GOOD = {
    "data": {"reading": {"value": 1}, "places": [{"line": "a", "reading": None}]},
    "counts": [0, 7],
    "opaque": [None],
    "more": True,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"counts": [0]}, False),
        ({"counts": ["x", "y"]}, False),
        ({"data": {"reading": {"value": -1}}}, False),
        ({"data": {"reading": {"value": 1, "unit": 3}}}, False),
        ({"data": {"reading": {"value": 1}}}, True),
        ({"data": {"places": []}}, False),
        ({"data": None}, False),
        ({"opaque": 1}, True),
    ],
)
def test_a_payload_has_the_shape_that_the_map_and_the_types_say(
    tmp_path: Path, change: dict[str, Any], expected: bool
) -> None:
    """Paths with defaults may lead nowhere, other fields may be there, classes of unknown shape may be anything."""
    assert expected is accepts(made(tmp_path, {"map": MAP}), {**GOOD, **change}, "payload-0")


def test_a_spread_payload_has_the_inputs_as_fields(tmp_path: Path) -> None:
    """What settings and resources give need not be there."""
    document = made(
        tmp_path,
        {"spread": True, "map": {"line": "topic.line", "message": "message.topic"}},
        params={"count": 3},
        resources={"opaque": "hooks.r:opened"},
    )
    good = {"reading": {"value": 1}, "places": []}
    cases: list[Any] = [good, {**good, "count": "x"}, {"reading": {"value": 1}}, [], {**good, "limit": 1.5}]
    assert [True, False, False, False, True] == [accepts(document, case, "payload-0") for case in cases]


@pytest.mark.parametrize(
    ("trigger", "settings", "good", "bad"),
    [
        ({}, {"run": {"final_vars": ["whole"]}}, {"value": 3}, {"value": "x"}),
        ({"format": "text", "map": {**MAP, "reading": "payload"}}, {}, "text", 5),
    ],
)
def test_a_whole_payload(
    tmp_path: Path, trigger: dict[str, Any], settings: dict[str, Any], good: object, bad: object
) -> None:
    """Without a map, and in a format that is no JSON."""
    document = made(tmp_path, trigger, **settings)
    assert (True, False) == (accepts(document, good, "payload-0"), accepts(document, bad, "payload-0"))


def test_what_message_hooks_unpack_may_be_anything(tmp_path: Path) -> None:
    """They alone know."""
    document = made(tmp_path, {"map": MAP}, hooks={"message": "hooks.r:unpack"})
    assert accepts(document, 5, "payload-0")


def test_a_commands_inputs(tmp_path: Path) -> None:
    """What nothing else gives must be there, what is no input must not; resources are not for commands."""
    document = made(tmp_path, {"map": MAP}, params={"count": 3}, resources={"opaque": "hooks.r:opened"})
    good = {"reading": {"value": 1}, "places": [], "line": "a", "message": {}}
    changes: list[dict[str, Any]] = [{}, {"limit": 2}, {"limit": "x"}, {"lin": 1}, {"reading": {}}, {"opaque": 1}]
    assert [True, True, False, False, False, False] == [accepts(document, {**good, **change}) for change in changes]
    assert not accepts(document, {"reading": {"value": 1}})


def test_the_command_writes_both_formats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To standard output or to a file, the same document."""
    document = made(tmp_path, {"map": MAP})
    monkeypatch.chdir(tmp_path)

    assert 0 == main(["schema", "p"])
    assert document == json.loads(capsys.readouterr().out)
    assert 0 == main(["schema", "p", "--format", "yaml", "--output", "p.schema.yml"])
    assert document == yaml.safe_load((tmp_path / "p.schema.yml").read_text())
    assert 64 == main(["schema", "pp"])
    assert "there is no pipeline 'pp'; did you mean 'p'?" in capsys.readouterr().err
