"""What differs from run to run, as `<words>`; tables are set again, since their widths differ with it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fp_events.cli.runs import COLUMNS, NODE_COLUMNS

_DURATION = r"\d[\d.]* (?:ms|s|min)|\d+ d \d+ h|\d+ h \d+ (?:min|m)|\d+ m \d+ s|\d+ min|\d+ [dhm]"
#: A day such as ``Fri 1 Jan 2027``; dates that rows name are of 2035 and stay.
_DAY = r"\w{3} \d{1,2} \w{3}(?: (?!2035)20\d\d)?(?! 2035)"
_MASKS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b(?!2035)20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)"), "<time>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<version>"),
    (re.compile(r"(\b(?:duration|started)_s\"?: )[\d.e-]+"), r"\1<seconds>"),
    (re.compile(r"^\d\d:\d\d:\d\d(?=  )"), "<time>"),
    (re.compile(r"\b\d+ B\b"), "<size>"),
    (re.compile(r"(?<=--before )\d+|(?<=\"purged\": )\d+"), "<number>"),
    (re.compile(rf"\b(?:{_DURATION}) ago\b"), "<a moment> ago"),
    (re.compile(rf"^(succeeded|failed) in (?:{_DURATION}), "), r"\1 in <time>, "),
    (re.compile(rf"\b(?:in (?:{_DURATION})|now), "), "in <a while>, "),
    (re.compile(rf"\bwaiting (?:{_DURATION})"), "waiting <a while>"),
    (re.compile(rf"(?<![\w.])(?:{_DURATION})(?= later$|(?=,)|$)", re.M), "<time>"),
    (re.compile(rf"(?<=in )(?:{_DURATION})(?=,)|(?<=after )(?:{_DURATION})(?=,)"), "<time>"),
)
_OF_CALENDAR = re.compile(rf"\b{_DAY}(?= \d\d:\d\d)")
#: Where it depends on the hour when a schedule fires next.
_OF_BEAT = re.compile(rf"\b{_DAY} \d\d:\d\d(?::\d\d)? UTC")
_BEATS = re.compile(r"rule +(?:every |.*\*/)")
_TITLES = re.compile(r"[A-Z]+(?: {2,}[A-Z]+)+$")
_RIGHT = {column.title.upper() for column in (*COLUMNS, *NODE_COLUMNS) if column.right}


def masked(text: str) -> str:
    """Output with all that differs replaced."""
    lines: list[str] = []
    beating = any(_BEATS.match(line) for line in text.splitlines())
    rest = text.rstrip("\n").split("\n") if text else []
    while rest:
        if _TITLES.match(rest[0]):
            end = next((index for index, line in enumerate(rest) if not line), len(rest))
            lines += _table(rest[:end])
            rest = rest[end:]
        else:
            lines.append(_masked(rest.pop(0), beating=beating))
    return "\n".join(line.rstrip() for line in lines)


def _masked(text: str, *, beating: bool) -> str:
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return _OF_BEAT.sub("<time>", text) if beating else _OF_CALENDAR.sub("<day>", text)


def _table(lines: Sequence[str]) -> list[str]:
    rows = [
        [_cell(cell, beating=any(_BEATS.match(f"rule  {one}") for one in row)) for cell in row] for row in _cut(lines)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [title in _RIGHT for title in rows[0]]
    return [
        "  ".join(cell.rjust(width) if is_right else cell.ljust(width)
                  for cell, width, is_right in zip(row, widths, right, strict=True))
        for row in rows
    ]  # fmt: skip


def _cell(text: str, *, beating: bool) -> str:
    if text == "now":
        return "<a moment> ago"
    return _masked(text, beating=beating)


def _cut(lines: Sequence[str]) -> list[list[str]]:
    """Cells: between two blanks at the least that all lines have in the same place."""
    width = max(map(len, lines))
    padded = [line.ljust(width) for line in lines]
    blank = "".join(" " if all(line[index] == " " for line in padded) else "x" for index in range(width))
    gaps = [found.span() for found in re.finditer(r" {2,}", blank)]
    starts, ends = [0, *(end for _, end in gaps)], [*(start for start, _ in gaps), width]
    return [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in padded]
