"""The published JSON Schema of commands says what the daemon does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fp_events.domain.errors import FpEventsError
from fp_events.runtime.command_schema import arguments_of, request_schema
from fp_events.runtime.commands import COMMANDS

from .conftest import House

ROOT = Path(__file__).parents[2]
#: Values of every kind that JSON has.
VALUES: tuple[Any, ...] = (True, -1, 1.5, 10**6, "x", "", "2h30m", "failed,queued", [], ["a"], [1], {}, {"a": 1})


def test_the_published_file_is_what_the_program_takes() -> None:
    """docs/commands.schema.json is made by the program, and is a schema."""
    schema = request_schema()
    Draft202012Validator.check_schema(schema)
    assert schema == json.loads((ROOT / "docs/commands.schema.json").read_text())


@pytest.mark.parametrize(
    ("request_", "well"),
    [
        ({"command": "status"}, True),
        ({"command": "run", "arguments": {"pipeline": "work", "run_in": "2h"}}, True),
        ({"command": "run", "arguments": {"pipeline": "work", "run_id": "a:b"}}, False),
        ({"command": "run", "arguments": {}}, False),
        ({"command": "pause", "arguments": {"pipeline": "work", "wait": True}}, False),
        ({"command": "runs.list", "arguments": {"state": "queued, running"}}, True),
        ({"command": "runs.list", "arguments": {"state": "queued, walking"}}, False),
        ({"command": "walk"}, False),
    ],
)
def test_requests_are_told_apart(request_: dict[str, Any], well: bool) -> None:
    """By the schema alone."""
    assert well is Draft202012Validator(request_schema()).is_valid(request_)


async def test_what_the_schema_forbids_the_daemon_refuses(house: House) -> None:
    """Every argument of every command, with values of all kinds; and what it takes, the schema allows."""
    house.pipeline()
    async with house.serving() as daemon:
        for name, command in COMMANDS.items():
            if name == "reload":
                continue  # takes nothing
            validator = Draft202012Validator(arguments_of(name))
            needed = dict.fromkeys(arguments_of(name)["required"], "work")
            for argument in command.arguments:
                for value in VALUES:
                    given = {**needed, argument: value}
                    try:
                        await daemon.ask(name, **given)
                    except FpEventsError:
                        continue
                    assert (name, argument, value, True) == (name, argument, value, validator.is_valid(given))
