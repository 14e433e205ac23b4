"""What the commands print: tables for people, JSON, YAML and ids for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Row = Mapping[str, Any]


class Format(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    IDS = "ids"


FormatOption = Annotated[
    Format, typer.Option("--format", help="How to print; `--json` is short for `--format json`.", show_choices=True)
]

# Terminal control characters, marks that turn the direction of text (a topic may hold them), lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(text: str) -> str:
    """`text` on one line, with whatever could steer a terminal written as an escape."""
    return _UNSAFE.sub(lambda found: _escape(found.group()), text)


def _escape(character: str) -> str:
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    code = ord(character)
    return short or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def safe_block(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(safe(line.expandtabs(4)) for line in text.splitlines())


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON that is safe on a terminal and the same value to a parser."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    # Inside a string only: JSON has no such characters outside, but for its own line breaks.
    return _UNSAFE.sub(lambda found: found.group() if found.group() == "\n" else f"\\u{ord(found.group()):04x}", text)


def to_yaml(value: Any) -> str:
    """YAML in the order of the value's keys."""
    import yaml

    plain = json.loads(json.dumps(value, default=str))
    text = str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120))
    if _UNSAFE.search(text.replace("\n", "")):
        text = str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=False, width=120))
    return text.rstrip("\n")


def console(*, stderr: bool = False) -> Console:
    """A Rich console that takes no markup from data."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def warn(sentence: str) -> None:
    """One line on stderr."""
    print(f"warning: {safe(sentence)}", file=sys.stderr)


def note(sentence: str) -> None:
    """Lines on stderr that are no part of the answer."""
    print(safe_block(sentence), file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its title and how a row's cell reads."""

    title: str
    text: Callable[[Row], str]
    #: A Rich style for the cell's text; None: none.
    style: Callable[[str], str] | None = None
    right: bool = False


def field(name: str, *, title: str = "", style: Callable[[str], str] | None = None, right: bool = False) -> Column:
    """A column that shows the row's field as it is; None shows as nothing."""
    return Column(title or name, lambda row: "" if row.get(name) is None else str(row[name]), style=style, right=right)


def show_rows(
    rows: Sequence[Row], columns: Sequence[Column], *, form: Format, ids: Callable[[Row], str], empty: str
) -> None:
    """Print a listing. In a table, `empty` says on stderr that there is nothing to show."""
    if form is Format.IDS:
        for row in rows:
            print(safe(ids(row)))
    elif form is Format.TABLE:
        _table(rows, columns) if rows else note(empty)
    else:
        show_value(list(rows), form=form)


def show_value(value: Any, *, form: Format) -> None:
    """Print one value as JSON or YAML."""
    print(to_json(value) if form is Format.JSON else to_yaml(value))


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    cells = [[safe(column.text(row)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        from . import terminal_table

        terminal_table.print_table(cells, columns, console())
        return
    titles = [column.title.upper() for column in columns]
    widths = [max(len(line[index]) for line in [titles, *cells]) for index in range(len(columns))]
    for line in [titles, *cells]:
        padded = [
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(line, widths, columns, strict=True)
        ]
        print("  ".join(padded).rstrip())


def show_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values under one another, without those that are empty."""
    kept = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        print(f"{name.ljust(width)}  {safe(value)}")
