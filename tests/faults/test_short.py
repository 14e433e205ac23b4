"""The whole campaign of `make faults`, each fault once or a few times."""

from __future__ import annotations

import asyncio
import sys

import pytest

from faults import rows
from faults.__main__ import run
from faults.row import ROWS, Campaign, Result, order
from tests.support import require_program

#: The rows run side by side, mostly waiting, while the first of these tests waits for all of them.
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="figures come from /proc"),
]
SEED = 20240501
JOBS = 6


NUMBERS: list[str] = sorted(ROWS, key=order)


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """By number. What is still skipped asks for a right, not for a program."""
    for program in ("strace", "cc"):
        require_program(program)
    assert rows.__all__
    found = asyncio.run(run(Campaign(SEED, short=True), [ROWS[number] for number in NUMBERS], JOBS))
    return {result.number: result for result in found}


@pytest.mark.parametrize("number", NUMBERS)
def test_row_holds(results: dict[str, Result], number: str) -> None:
    """The figure that docs/delivery.md asks for is found."""
    result = results[number]

    if result.verdict == "skipped":
        pytest.skip(result.note)
    assert result.verdict in {"held", "left"}, f"{result.fault}: {result.figure} {result.note}"
