"""Values out: payloads, and what `runs show` prints."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID

import numpy as np
import orjson
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fp_events.codecs import EncodeError, decode, encode, values_encoder
from fp_events.domain.errors import FpEventsError


def encode_values(values: dict[str, Any]) -> bytes:
    """JSON of all values, none of it known before."""
    return values_encoder(tuple(values))(values, {})


class Color(Enum):
    RED = "red"


class Odd(Enum):
    PAIR = (1, 2)


class Name(StrEnum):
    A = "a"


class Number(IntEnum):
    ONE = 1


class Point(NamedTuple):
    x: float
    y: Any


@dataclass
class Alert:
    site: str
    at: datetime
    _cache: int = 0


class Reading(pydantic.BaseModel):
    value: float
    at: datetime
    raw: bytes = b""


class Table:
    """Like a polars frame."""

    def to_dicts(self) -> list[dict[str, Any]]:
        return [{"a": 1}, {"a": None}]


class Broken(pydantic.BaseModel):
    """Its own method raises what no one expects."""

    def model_dump(self, **_: Any) -> dict[str, Any]:
        raise ZeroDivisionError


AT = datetime(2024, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "payload", "content_type"),
    [
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        (bytearray(b"ab"), b"ab", "application/octet-stream"),
        (memoryview(b"abcd")[::2], b"ac", "application/octet-stream"),
        (b"", b"", "application/octet-stream"),
        ("é", "é".encode(), "text/plain; charset=utf-8"),
        ("", b"", "text/plain; charset=utf-8"),
        (Name.A, b"a", "text/plain; charset=utf-8"),
        (np.str_("a"), b"a", "text/plain; charset=utf-8"),
        (None, b"null", "application/json"),
        (1.5, b"1.5", "application/json"),
        ({"a": [1]}, b'{"a":[1]}', "application/json"),
    ],
)
def test_the_type_of_a_value_says_its_content_type(value: Any, payload: bytes, content_type: str) -> None:
    """Bytes as they are, text as text, the rest JSON."""
    assert (payload, content_type) == encode(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**64 - 1, 2**64 - 1),
        (AT, "2024-01-02T03:04:05.678900+00:00"),
        (AT.astimezone(timezone(timedelta(hours=2))), "2024-01-02T05:04:05.678900+02:00"),
        (AT.replace(tzinfo=None), "2024-01-02T03:04:05.678900"),
        (date(2024, 1, 2), "2024-01-02"),
        (time(1, 2, 3), "01:02:03"),
        (timedelta(minutes=1.5), 90.0),
        (Decimal("12.30"), "12.30"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a/b"), "/a/b"),
        (Color.RED, "red"),
        (Odd.PAIR, [1, 2]),
        (Number.ONE, 1),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({1, "a"}, [1, "a"]),
        ((1, (2, 3)), [1, [2, 3]]),
        (Point(1.0, Point(2.0, None)), {"x": 1.0, "y": {"x": 2.0, "y": None}}),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (array("d", [1.5]), [1.5]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        ({"a": 1}.values(), [1]),
        ({"raw": b"\x00\xff", "view": memoryview(b"a")}, {"raw": "AP8=", "view": "YQ=="}),
        (Alert("n", AT), {"site": "n", "at": "2024-01-02T03:04:05.678900+00:00"}),
        (Reading(value=1.5, at=AT), {"value": 1.5, "at": "2024-01-02T03:04:05.678900+00:00", "raw": ""}),
        ([Reading(value=1.5, at=AT, raw=b"a")], [{"value": 1.5, "at": "2024-01-02T03:04:05.678900+00:00", "raw": "YQ=="}]),
        (Table(), [{"a": 1}, {"a": None}]),
        ({1: "a", None: "b", False: "c", 1.5: "d"}, {"1": "a", "null": "b", "false": "c", "1.5": "d"}),
        ({(1, "a"): 2}, {'[1,"a"]': 2}),
        ({np.int64(1): 2}, {"1": 2}),
        ({Color.RED: 1, date(2024, 1, 2): 2}, {"red": 1, "2024-01-02": 2}),
        (np.float64(1.5), 1.5),
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.int8(-1), -1),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.datetime64("2024-01-02T03:04:05.123456789"), "2024-01-02T03:04:05.123456"),
        (np.datetime64("2024-01-02"), "2024-01-02T00:00:00"),
        (np.datetime64("NaT"), None),
        (np.timedelta64(1500, "ms"), 1.5),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([[1, 2], [3, 4]])[:, 0], [1, 3]),
        (np.array(1.5), 1.5),
        (np.array([]), []),
        (np.array([1.0, np.nan, np.inf]), [1.0, None, None]),
        (np.array(["a", None, 1], dtype=object), ["a", None, 1]),
        (np.array(["a"]), ["a"]),
        (np.array(["NaT", "2024-01-02"], dtype="datetime64[ns]"), [None, "2024-01-02T00:00:00"]),
        (np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]), [[1, 2.5]]),
        ({"m": np.array([1.5])}, {"m": [1.5]}),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Timestamp("2024-01-02", tz="UTC"), "2024-01-02T00:00:00+00:00"),
        (pd.Timedelta("90s"), 90.0),
        (pd.Series([1, 2], index=[5, 6]), [1, 2]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.Index([1, 2]), [1, 2]),
        (pd.Categorical(["a"]), ["a"]),
        (pd.Period("2024-01", freq="M"), "2024-01"),
        (pd.Series([pd.Timestamp("2024-01-02"), pd.NaT]), ["2024-01-02T00:00:00", None]),
        (
            pd.DataFrame({"a": [1, 2], "b": [1.5, np.nan], "t": [pd.Timestamp("2024-01-02"), pd.NaT]}),
            [{"a": 1, "b": 1.5, "t": "2024-01-02T00:00:00"}, {"a": 2, "b": None, "t": None}],
        ),
        (pd.DataFrame({("a", "x"): [1]}), [{'["a","x"]': 1}]),
        (pd.DataFrame(), []),
        ([float("nan"), float("inf"), -float("inf")], [None, None, None]),
        (type("F", (float,), {})(1.5), 1.5),
        (type("S", (dict,), {})(a=1), {"a": 1}),
    ],
)  # fmt: skip
def test_values_in_json(value: Any, expected: Any) -> None:
    """The table of docs/formats.md, row by row."""
    payload, content_type = encode({"v": value})

    assert ({"v": expected}, "application/json") == (orjson.loads(payload), content_type)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [1, {"a": float("inf")}],
        np.float32("nan"),
        np.array([1.0, np.nan]),
        np.array([1.0, np.nan, 2.0])[::2].copy() * np.inf,
        pd.Series([1.0, np.nan]),
        pd.DataFrame({"a": [None, 1.5]}),
        Point(float("nan"), 1),
        Reading(value=float("inf"), at=AT),
        {(1, 2): float("nan")},
    ],
)
def test_nan_is_null_or_an_error(value: Any) -> None:
    """Wherever it hides; missing values that are no numbers are null under both rules."""
    assert b"null" in encode(value, nan="null")[0]
    with pytest.raises(EncodeError, match="NaN or infinite"):
        encode(value, nan="error")


@pytest.mark.parametrize("value", [None, [None], pd.NaT, pd.Series([1, None], dtype="Int64"), "null", {"null": 1}])
def test_what_is_missing_is_not_nan(value: Any) -> None:
    """None, NaT and NA stay null under `nan: error`."""
    assert encode(value) == encode(value, nan="error")


def cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**64, "beyond 64 bits"),
        (-(2**63) - 1, "beyond 64 bits"),
        ({"a": [10**5000]}, "beyond 64 bits"),
        ("\ud800", "surrogate"),
        ({"a": "\ud800"}, "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        (object(), "type object has no JSON form"),
        ([lambda: 1], "type function has no JSON form"),
        (1j, "type complex has no JSON form"),
        (np.array([1j]), "type ndarray has no JSON form"),
        ((n for n in [1]), "type generator has no JSON form"),
        (Color, "type EnumType has no JSON form"),
        ({object(): 1}, "type object has no JSON form"),
        (cyclic(), "250 levels"),
        (nested(300), "250 levels"),
        (nested(100_000), "250 levels"),
        (Broken(), "ZeroDivisionError was raised"),
        (ValueError("x"), "type ValueError has no JSON form"),
    ],
)
@pytest.mark.parametrize("nan", ["null", "error"])
def test_what_has_no_json_form_is_an_encode_error(value: Any, words: str, nan: Literal["null", "error"]) -> None:
    """One sentence of our own, whatever was raised inside."""
    with pytest.raises(EncodeError) as caught:
        encode(value, nan=nan)

    assert (True, True) == (words in str(caught.value), isinstance(caught.value, FpEventsError))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=400, deadline=None)
@given(JSON_VALUES)
def test_what_is_encoded_is_decoded_to_the_same(value: Any) -> None:
    """decode(encode(x)) == x, by the content type that encode gives, and under both rules for NaN."""
    payload, content_type = encode(value)

    assert value == decode(payload, format=None, content_type=content_type)
    assert (payload, content_type) == encode(value, nan="error")


def test_values_to_be_shown() -> None:
    """Encodable values stand as they are, others as their type; nothing raises."""
    shown = orjson.loads(
        encode_values(
            {"a": 1.5, "b": b"a", "c": object(), "d": Broken(), "e": 2**70, "f": "é", "\ud800": None, "g": cyclic()}
        )
    )

    assert {
        "a": 1.5,
        "b": "YQ==",
        "c": {"unencodable": "object"},
        "d": {"unencodable": "Broken"},
        "e": {"unencodable": "int"},
        "f": "é",
        "?": None,
        "g": {"unencodable": "list"},
    } == shown


@pytest.mark.parametrize(
    "value",
    [
        "é" * 100_000,
        [1] * 10_000_000,
        b"a" * 100_000,
        np.zeros(10_000_000),
        pd.DataFrame({"a": np.arange(1_000_000)}),
        pd.Series(np.arange(1_000_000)),
        {str(number): number for number in range(20_000)},
    ],
    ids=["text", "list", "bytes", "array", "frame", "series", "dict"],
)
def test_long_values_are_cut(value: Any) -> None:
    """64 KiB of JSON are kept of each value, marked as cut, without encoding all of it."""
    shown = orjson.loads(encode_values({"a": value, "b": 1}))

    assert (1, True, ["cut"]) == (shown["b"], 65_500 < len(shown["a"]["cut"].encode()) <= 65_536, list(shown["a"]))


def test_a_value_of_64_kib_is_whole() -> None:
    """The limit is of the JSON text, quotes included."""
    assert {"a": "x" * 65_534} == orjson.loads(encode_values({"a": "x" * 65_534}))


def test_values_whose_json_is_known_are_not_encoded_again() -> None:
    """The JSON is taken as it is, unless it is too long to be shown; values without a name are left out."""
    values = {"a": [1], "b": {"c": 2}, "hidden": 3, "long": ["x" * 70_000]}

    shown = orjson.loads(
        values_encoder(("a", "b", "long"))(values, {"b": b'"known"', "long": encode(values["long"])[0]})
    )

    assert ({"a": [1], "b": "known"}, ["cut"]) == ({name: shown[name] for name in ("a", "b")}, list(shown.pop("long")))
    assert ["a", "b"] == list(shown)


def test_no_values_are_an_empty_object() -> None:
    """A plan whose outputs are all state shows nothing."""
    assert b"{}" == values_encoder(())({"a": 1}, {}) == encode_values({})


def test_importing_the_codecs_imports_no_heavy_library() -> None:
    """Neither does encoding, decoding JSON, or keeping state of plain values."""
    code = (
        "import sys; from fp_events.codecs import *; encode({'a': {1, 2}}); decode(b'1', format='json', content_type=None);"
        "heavy = {'numpy', 'pandas', 'pydantic', 'cbor2', 'msgpack'} & set(sys.modules); print(sorted(heavy))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == result.stdout.strip()
