"""Tables, JSON, YAML and ids; nothing that a device sends can steer a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from rich.console import Console

from fp_events.cli.arguments import assignments, inputs
from fp_events.cli.output import Column, Format, field, safe, show_rows, to_json, to_yaml
from fp_events.cli.plain import plain
from fp_events.cli.terminal_table import print_table
from fp_events.cli.texts import ago, duration, size
from fp_events.domain.errors import StorageError, UsageError

ROWS = [{"id": "a", "n": 1, "note": None}, {"id": "b", "n": 20, "note": "x\x1b[31m\u202ey"}]
COLUMNS: Sequence[Column] = (field("id"), field("n", right=True), field("note"))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Format.IDS, "a\nb\n"),
        (Format.TABLE, "ID   N  NOTE\na    1\nb   20  x\\x1b[31m\\u202ey\n"),
    ],
)
def test_rows_for_people_and_for_pipes(form: Format, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a table is plain, whole and without escapes."""
    show_rows(ROWS, COLUMNS, form=form, ids=lambda row: str(row["id"]), empty="none")
    assert capsys.readouterr().out == expected


WIDE: Sequence[Column] = (field("id"), field("n", right=True), field("trigger"), field("node"), field("error"))
WIDE_ROWS = [
    ["7a8b9c", "1", "plant/{line}/temperature", "", ""],
    ["1d2e3f", "20", "plant", "alert", "ValueError: the sensor of line 温度 is broken, or it is not there at all"],
]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (
            60,
            """\
ID       N  TRIGGER                   NODE
    ERROR
7a8b9c   1  plant/{line}/temperature
1d2e3f  20  plant                     alert
    ValueError: the sensor of line 温度 is broken, or it is
    not there at all
""",
        ),
        (
            80,
            """\
ID       N  TRIGGER                   NODE   ERROR
7a8b9c   1  plant/{line}/temperature
1d2e3f  20  plant                     alert  ValueError: the sensor of line 温度
                                             is broken, or it is not there at
                                             all
""",
        ),
        (
            200,
            """\
ID       N  TRIGGER                   NODE   ERROR
7a8b9c   1  plant/{line}/temperature
1d2e3f  20  plant                     alert  ValueError: the sensor of line 温度 is broken, or it is not there at all
""",
        ),
    ],
)
def test_a_row_too_wide_for_the_terminal_goes_on_below(width: int, expected: str) -> None:
    """Ids and titles stay whole, so that they can be copied and read; the last column is wrapped."""
    terminal = Console(file=io.StringIO(), width=width)
    print_table(WIDE_ROWS, WIDE, terminal)
    assert expected == terminal.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above


@pytest.mark.parametrize(("form", "read"), [(Format.JSON, json.loads), (Format.YAML, yaml.safe_load)])
def test_rows_for_programs_are_the_rows(form: Format, read: type, capsys: pytest.CaptureFixture[str]) -> None:
    """What is escaped for the terminal's sake is the same to a parser."""
    show_rows(ROWS, COLUMNS, form=form, ids=lambda row: str(row["id"]), empty="none")
    text = capsys.readouterr().out
    assert read(text) == ROWS
    assert ("\x1b" in text, "\u202e" in text) == (False, False)


def test_an_empty_listing_is_valid_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets an empty list, a person a sentence on stderr."""
    show_rows([], COLUMNS, form=Format.JSON, ids=str, empty="none")
    show_rows([], COLUMNS, form=Format.TABLE, ids=str, empty="none here")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("[]\n", "none here\n")


def test_text_stays_readable() -> None:
    """Only what could steer a terminal is escaped."""
    assert safe("21 °C 温度 🌡 [red]") == "21 °C 温度 🌡 [red]"
    assert safe("a\nb\x07\x9b\ud800") == "a\\nb\\x07\\x9b\\ud800"
    assert json.loads(to_json({"a": "°\u202e\ud800"})) == {"a": "°\u202e\ud800"}
    assert yaml.safe_load(to_yaml({"b": 1, "a": "°\u202e"})) == {"b": 1, "a": "°\u202e"}


def test_durations_sizes_and_ages() -> None:
    """Two figures at the most, and a unit."""
    texts = [duration(seconds) for seconds in (None, 0.0004, 0.012, 3.21, 250, 11100, 187200)]
    assert texts == ["", "0.4 ms", "12 ms", "3.2 s", "4 m 10 s", "3 h 5 m", "2 d 4 h"]
    assert [size(count) for count in (None, 512, 1536, 20 * 1024**2)] == ["", "512 B", "1.5 KiB", "20 MiB"]
    now = datetime.now(UTC)
    assert ago((now - timedelta(seconds=90)).isoformat(), now) == "1 m 30 s ago"


def test_values_of_the_command_line_are_json_or_text(tmp_path: pytest.TempPathFactory) -> None:
    """A number is a number, a word needs no quotes, a file is read."""
    (path := tmp_path / "list.json").write_text("[1, 2]")  # type: ignore[operator]
    found = assignments(["a=1.5", "b=north", "c=true", 'd={"x": 1}', f"e=@{path}", "f=a=b"], "-i")
    assert found == {"a": 1.5, "b": "north", "c": True, "d": {"x": 1}, "e": [1, 2], "f": "a=b"}


def test_single_inputs_are_laid_over_the_document() -> None:
    """`-i` wins over `--inputs`."""
    assert inputs('{"a": 1, "b": 2}', ["b=3"]) == {"a": 1, "b": 3}


@pytest.mark.parametrize(("document", "pairs"), [("[1]", []), ("{", []), (None, ["a"]), (None, ["=1"])])
def test_inputs_that_are_none_are_refused(document: str | None, pairs: list[str]) -> None:
    """The error shows how to write them."""
    with pytest.raises(UsageError, match="write "):
        inputs(document, pairs)


def test_a_file_of_inputs_that_is_not_there() -> None:
    """The path is told, and what to do about it."""
    with pytest.raises(StorageError, match=r"missing\.json: it cannot be read: .*; correct the path after the @"):
        inputs("@missing.json", [])


def test_values_of_nodes_become_plain() -> None:
    """Data frames, arrays, times, not-a-number: what JSON can write."""
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    value = {
        "frame": frame,
        "array": numpy.array([[1.0, float("nan")]]),
        "at": datetime(2025, 1, 1, tzinfo=UTC),
        "set": {1},
        "bytes": b"\xff!",
        "inf": float("inf"),
    }
    assert plain(value) == {
        "frame": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        "array": [[1.0, None]],
        "at": "2025-01-01T00:00:00+00:00",
        "set": [1],
        "bytes": "\\xff!",
        "inf": None,
    }
