"""The program, called as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from fp_events.cli.main import main


@dataclass(frozen=True, slots=True)
class Ended:
    """What a call of the program gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, parsed."""
        return json.loads(self.out)


Program = Callable[..., Ended]


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    """Call `fp-events` in this process."""

    def call(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call
