"""A table on a terminal: what is too wide for one line goes on, indented, on the next; ids stay whole."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from .output import Column

_GAP = "  "
#: Columns by which the second line of a row stands further right.
_INDENT = 4
#: The narrowest that the last column may be wrapped to.
_NARROW = 30


class _Cell(NamedTuple):
    text: str
    style: str
    #: Of its column.
    width: int
    right: bool

    def padded(self) -> Text:
        padding = " " * (self.width - cell_len(self.text))
        own = Text(self.text, style=self.style)
        return Text.assemble(padding, own) if self.right else Text.assemble(own, padding)


def print_table(rows: Sequence[Sequence[str]], columns: Sequence[Column], console: Console) -> None:
    """Print titles and rows, as wide as the terminal is."""
    titles = [column.title.upper() for column in columns]
    widths = [max(cell_len(row[index]) for row in [titles, *rows]) for index in range(len(columns))]
    first, *others = split(widths, console.width)
    # What no row has anything to say of needs no titles.
    others = [group for group in others if any(row[index] for row in rows for index in group)]
    for row in [titles, *rows]:
        cells = [
            _Cell(text, _style(text, column, title=row is titles), width, column.right)
            for text, column, width in zip(row, columns, widths, strict=True)
        ]
        _print_line([cells[index] for index in first], 0, console)
        for group in others:
            if any(row[index] for index in group):
                _print_line([cells[index] for index in group], _INDENT, console)


def split(widths: Sequence[int], room: int) -> list[list[int]]:
    """Indices of columns, line by line, as many as `room` holds; the very last is wrapped where it has some room."""
    groups: list[list[int]] = [[]]
    used = 0
    for index, width in enumerate(widths):
        least = min(width, _NARROW) if index == len(widths) - 1 else width
        if groups[-1] and used + len(_GAP) + least > room:
            groups.append([])
            used = _INDENT
        used += width + (len(_GAP) if groups[-1] else 0)
        groups[-1].append(index)
    return groups


def _style(text: str, column: Column, *, title: bool) -> str:
    if title:
        return "bold"
    return column.style(text) if column.style else ""


def _print_line(cells: Sequence[_Cell], indent: int, console: Console) -> None:
    line = Text(" " * indent)
    for cell in cells[:-1]:
        line.append_text(cell.padded()).append(_GAP)
    last, start = cells[-1], line.cell_len
    parts = textwrap.wrap(last.text, max(console.width - start, 1))
    if len(parts) > 1:
        line.append(f"\n{' ' * start}".join(parts), style=last.style)
    else:
        line.append_text(last.padded())
    line.rstrip()
    console.print(line, soft_wrap=True)
