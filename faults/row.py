"""Rows of the matrix in docs/delivery.md: what is done, what is asked for, what was found."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final, Literal

Verdict = Literal["held", "BROKEN", "skipped", "left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a row gave."""

    #: The figures, in words.
    figure: str
    #: Everything that was promised was so.
    held: bool
    #: How often it was done.
    n: int = 1
    note: str = ""


class Skipped(Exception):
    """The machine lacks what the row needs; says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a row."""

    folder: Path
    rng: Random
    short: bool
    #: 0: the row's own number.
    wanted: int = 0

    def times(self, full: int, short: int) -> int:
        """How often to do it."""
        return self.wanted or (short if self.short else full)


Body = Callable[[Run], Awaitable[Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault, and what the product says will happen."""

    number: str
    fault: str
    #: The figure that is asked for.
    asked: str
    #: What is done, beyond what the fault says.
    how: str = ""
    #: None: left to the work that builds it.
    body: Body | None
    left: str = ""
    #: Seconds after which the row is given up.
    patience: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A row, done."""

    number: str
    fault: str
    how: str
    asked: str
    verdict: Verdict
    figure: str = ""
    n: int = 0
    note: str = ""
    #: Seconds.
    took: float = 0.0


ROWS: Final[dict[str, Row]] = {}


def row(number: str, fault: str, asked: str, *, patience: float = 3600.0) -> Callable[[Body], Body]:
    """Enter a function as a row."""

    def enter(body: Body) -> Body:
        how = " ".join((body.__doc__ or "").split())
        ROWS[number] = Row(number=number, fault=fault, asked=asked, how=how, body=body, patience=patience)
        return body

    return enter


def left(number: str, fault: str, asked: str, why: str) -> None:
    """Enter a row whose part of the product does not exist."""
    ROWS[number] = Row(number=number, fault=fault, asked=asked, body=None, left=why)


def order(number: str) -> tuple[int, str]:
    """Sorts rows as the matrix does: 1, 2, 10; what has no number comes last."""
    digits = "".join(letter for letter in number if letter.isdigit())
    return (int(digits or 99), number)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A seed, and how thorough to be."""

    seed: int
    short: bool
    wanted: int = 0

    async def run(self, row: Row) -> Result:
        """Do one row."""
        started = time.monotonic()
        if row.body is None:
            return self._result(row, "left", started, note=row.left)
        with TemporaryDirectory(prefix=f"faults-{row.number}-") as folder:
            run = Run(
                folder=Path(folder), rng=Random(f"{self.seed}/{row.number}"), short=self.short, wanted=self.wanted
            )
            try:
                async with asyncio.timeout(row.patience):
                    found = await row.body(run)
            except Skipped as reason:
                return self._result(row, "skipped", started, note=str(reason))
            except Exception:  # noqa: BLE001 - a row that fails in whatever way is a row that does not hold
                return self._result(row, "BROKEN", started, note=traceback.format_exc(limit=-4))
        verdict: Verdict = "held" if found.held else "BROKEN"
        return self._result(row, verdict, started, figure=found.figure, n=found.n, note=found.note)

    def _result(
        self, row: Row, verdict: Verdict, started: float, *, figure: str = "", n: int = 0, note: str = ""
    ) -> Result:
        return Result(
            number=row.number,
            fault=row.fault,
            how=row.how,
            asked=row.asked,
            verdict=verdict,
            figure=figure,
            n=n,
            note=note,
            took=round(time.monotonic() - started, 1),
        )
