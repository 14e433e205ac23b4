"""Values come back exactly, or are not taken."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import importlib
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fp_events.codecs import EncodeError, decode_exact, digest, encode_exact
from fp_events.domain.errors import Undecodable

# Neither ships types that mypy reads.
pa: Any = importlib.import_module("pyarrow")
polars: Any = importlib.import_module("polars")


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    value: float
    tags: list[str]


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: int


class Model(pydantic.BaseModel):
    a: int
    b: str = "x"


CLASSES: dict[str, type] = {kind.__name__: kind for kind in (Reading, Level, Point, Model)}


def name_of(kind: type) -> str:
    return kind.__qualname__


def again(value: Any, classes: dict[str, type] | None = None) -> Any:
    return decode_exact(encode_exact(value, CLASSES if classes is None else classes), CLASSES)


def same(one: Any, other: Any) -> bool:
    """Alike in type and, by its strictest rule, in value."""
    return type(one) is type(other) and digest(one, name_of) == digest(other, name_of)


VALUES: list[Any] = [
    None,
    True,
    1,
    2**70,
    -(2**70),
    1.5,
    float("inf"),
    "text",
    "half of a pair \ud800",
    b"bytes",
    (1, (2, [3])),
    {1, 2},
    frozenset({"a"}),
    1 + 2j,
    range(1, 9, 2),
    datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - without a zone is a case of its own
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 1, 2, tzinfo=UTC),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2), "X")),
    date(2026, 1, 2),
    time(1, 2, 3, tzinfo=UTC),
    timedelta(days=-1, microseconds=3),
    Decimal("1.10"),
    UUID(int=5),
    Path("a/b"),
    PurePosixPath("c"),
    {(1, 2): "tuple", 3: "int", None: "none", True: "yes"},
    Reading(1.5, ["a"]),
    Level.LOW,
    Point(1, 2),
    Model(a=1),
    np.arange(6, dtype="<i2").reshape(2, 3),
    np.asfortranarray(np.ones((2, 3))),
    np.array(["2026-01-02"], dtype="datetime64[ns]"),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.float32(1.5),
    np.str_("x"),
    np.bool_(True),
    pd.Timestamp("2026-01-02", tz="Europe/Berlin"),
    pd.Timedelta("1h"),
    pd.NaT,
    pd.NA,
    pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])}, index=["p", "q"]),
    pd.DataFrame({"n": [1.5], "t": [pd.Timestamp("2026-01-02", tz="UTC")], "i": pd.array([None], dtype="Int64")}),
    pd.DataFrame(),
    pd.DataFrame({1: [1], 2: [2]}),
    pd.Series([1, 2], index=pd.date_range("2026-01-01", periods=2, freq="h")),
    pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([("x", 1)], names=["l", None])),
    pd.Series([1.0, float("nan")], name="s"),
    pd.Series([1, 2], name=("a", 1)),
    pa.table({"a": [1, None], "b": [["x"], []]}),
    pa.array([1, None, 3]),
    pa.chunked_array([[1], [2]]),
    pa.RecordBatch.from_pydict({"a": [1]}),
    polars.DataFrame({"a": [1, None], "b": ["x", "y"]}),
    polars.Series("s", [1.5, 2.5]),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__} {str(value)[:12]!a}")
def test_values_come_back_as_they_were(value: Any) -> None:
    """Alone, and within others."""
    assert same(value, again(value))
    inner = again({"k": [value, (value,)]})["k"]
    assert same(value, inner[0])
    assert type(inner[1]) is tuple


@pytest.mark.parametrize(
    "value",
    [
        (item for item in "ab"),
        print,
        object(),
        bytearray(b"x"),
        [bytearray(b"x")],
        OrderedDict(a=1),
        defaultdict(list),
        np.array([object()]),
        np.ma.masked_array([1], [True]),
        pd.DataFrame({"a": [1, "x"]}),
        pd.DataFrame({"a": [[1], [2]]}),
        pd.DataFrame({"a": [1], 2: [2]}),
        pd.Series([None, float("nan")], dtype=object),
        polars.DataFrame({"a": [1]}).lazy(),
        Exception("x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_not_come_back_is_refused(value: Any) -> None:
    """Rather than something that is nearly the same."""
    with pytest.raises(EncodeError):
        encode_exact(value, CLASSES)


def test_only_named_classes_are_made() -> None:
    """Data names a class by a key of the reader's own table, never by a module."""
    data = encode_exact(Point(1, 2), CLASSES)

    with pytest.raises(EncodeError, match="Point"):
        encode_exact(Point(1, 2), {})
    with pytest.raises(Undecodable):
        decode_exact(data, {})


def test_a_value_that_holds_itself_is_refused() -> None:
    """And one that is nested without measure."""
    circle: list[Any] = []
    circle.append(circle)
    deep: tuple[Any, ...] = ()
    for _ in range(3000):
        deep = (deep,)

    for value in (circle, deep):
        with pytest.raises(EncodeError, match="nested too deep"):
            encode_exact(value, {})


def test_attributes_beside_the_fields_are_not_lost() -> None:
    """A dataclass with more than its fields is refused."""

    @dataclasses.dataclass
    class Loose:
        a: int

    loose = Loose(1)
    vars(loose)["b"] = 2
    with pytest.raises(EncodeError):
        encode_exact(loose, {"Loose": Loose})


def test_no_code_of_an_object_runs_when_it_comes_back() -> None:
    """What was kept is what comes back: `__post_init__` has had its turn."""
    made: list[int] = []

    @dataclasses.dataclass
    class Counted:
        a: int

        def __post_init__(self) -> None:
            made.append(self.a)

    table: dict[str, type] = {"Counted": Counted}
    found = decode_exact(encode_exact(Counted(1), table), table)

    assert ([1], Counted, 1) == (made, type(found), found.a)


DIFFERENT: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, True),
    ("1", 1),
    (b"a", "a"),
    ([1], (1,)),
    ({1}, frozenset({1})),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    (0.0, -0.0),
    (Reading(1.0, []), Reading(1.0, ["a"])),
    (Point(1, 2), (1, 2)),
    (np.array([1]), np.array([[1]])),
    (np.array([1], dtype="i4"), np.array([1], dtype="i8")),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}, index=[5])),
    (pd.Series([None], dtype=object), pd.Series([float("nan")], dtype=object)),
    (pd.Series([1], name="a"), pd.Series([1], name="b")),
    (pd.Categorical(["a"]), pd.Categorical(["a"], categories=["a", "b"])),
    (deque([1]), deque([1], maxlen=2)),
    (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/London"))),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=lambda value: type(value).__name__)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    """Types and order count, since a function can see them."""
    if isinstance(one, pd.Categorical):
        one, other = pd.Series(one), pd.Series(other)
    assert digest(one, name_of) != digest(other, name_of)


@pytest.mark.parametrize("value", [{3, 1, 2}, Counter("ab"), OrderedDict(a=1), deque([1]), pd.Index([1, 2])])
def test_more_types_have_a_digest_than_are_kept(value: Any) -> None:
    """An input need not come back."""
    assert digest(value, name_of) == digest(value, name_of)


def test_a_digest_is_the_same_in_every_process() -> None:
    """Sets too, whose order hangs on the seed of hashes."""
    program = (
        "from fp_events.codecs import digest\n"
        "print(digest({'a': {'x', 'y', 'z'}, 'b': (1, 2.5, None)}, lambda kind: kind.__qualname__))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert {digest({"a": {"x", "y", "z"}, "b": (1, 2.5, None)}, name_of) + "\n"} == found


@given(data=st.binary(max_size=200))
@settings(max_examples=200)
def test_foreign_bytes_are_never_more_than_undecodable(data: bytes) -> None:
    """Whatever they are."""
    with contextlib.suppress(Undecodable):
        decode_exact(data, CLASSES)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=10,
    )
)
@settings(max_examples=200)
def test_plain_values_come_back(value: Any) -> None:
    """In all their combinations."""
    assert same(value, again(value))
