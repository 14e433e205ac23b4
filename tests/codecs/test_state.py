"""State: what is kept is what comes back."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd
import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fp_events.codecs import EncodeError, decode_state, encode_state, state_to_json
from fp_events.domain.errors import Undecodable


class Point(NamedTuple):
    x: int


@dataclass
class Window:
    values: list[float]


class Model(pydantic.BaseModel):
    at: datetime


AT = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

KEPT = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text() | st.integers(-(2**63), 2**64 - 1), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(), KEPT, max_size=4))
@example({"w": datetime(1, 1, 1, tzinfo=UTC), "x": datetime.max.replace(tzinfo=UTC)})
@example({"big": 10**10_000, "small": -(10**10_000)})
def test_state_comes_back_as_it_was(values: dict[str, Any]) -> None:
    """Numbers, text, bytes, times and exact numbers, in lists and dicts, with their types."""
    back = decode_state(encode_state(values))

    assert (values, _types(values)) == (back, _types(back))


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    return [_types(item) for item in value] if isinstance(value, list) else type(value)


@given(st.floats())
def test_floats_are_kept_bit_by_bit(number: float) -> None:
    """NaN, the infinities and minus zero included."""
    back = decode_state(encode_state({"x": number}))["x"]

    assert (math.isnan(number) and math.isnan(back)) or struct.pack("d", number) == struct.pack("d", back)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        ([(1, 2.5)], [[1, 2.5]]),
        ({3, 1}, [1, 3]),
        (Point(1), {"x": 1}),
        (Window([1.5]), {"values": [1.5]}),
        (Model(at=AT), {"at": AT}),
        (np.array([[1.0, 2.0]]), [[1.0, 2.0]]),
        (np.float32(0.5), 0.5),
        (np.datetime64("2024-01-02T03:04:05"), datetime(2024, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - numpy has no zones
        (np.datetime64("NaT"), None),
        (pd.Timestamp(AT), AT),
        (pd.NaT, None),
        (pd.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
        (pd.Series([1.5]), [1.5]),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        (PurePosixPath("a"), "a"),
        (AT.astimezone(datetime.now().astimezone().tzinfo), AT),
        (None, None),
        ({"a": (1, {2})}, {"a": [1, [2]]}),
    ],
)
def test_other_values_are_kept_in_their_plain_form(value: Any, expected: Any) -> None:
    """As in JSON, but times stay times."""
    assert {"node": expected} == decode_state(encode_state({"node": value}))


def test_a_large_array_is_kept() -> None:
    """A million floats."""
    array = np.random.default_rng(1).normal(size=1_000_000)

    assert np.array_equal(array, decode_state(encode_state({"w": array}))["w"])


def _cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda: 1, "function"),
        ([{"a": object()}], "object"),
        (1j, "complex"),
        ({(1, 2): 3}, "a key that is a tuple"),
        (_cyclic(), "holds itself"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_cannot_be_kept_names_the_node(value: Any, words: str) -> None:
    """An EncodeError, at the run that made it and not at the one that would read it."""
    with pytest.raises(EncodeError) as caught:
        encode_state({"good": 1, "window": value})

    assert (True, True) == (str(caught.value).startswith("state of window: "), words in str(caught.value))


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=100))
@example(b"")
@example(b"\x81\xa1a\xc7\x03\x01zzz")
@example(b"\x81\xa1a\xc7\x01\x63a")
@example(b"\x81\xa1a\xc7\x03\x05abc")
@example(b"\x81\xa1a\xc7\x01\x02a")
@example(b"\x81\x90\x01")
@example(b"\x91" * 2000)
def test_damaged_state_is_undecodable(data: bytes) -> None:
    """Any bytes are a dict or Undecodable."""
    try:
        value = decode_state(data)
    except Undecodable:
        return
    assert isinstance(value, dict)


def test_state_is_displayed_as_json() -> None:
    """Every kept type has a text or number that JSON can show."""
    data = encode_state(
        {
            "f": [float("nan"), float("inf"), -float("inf"), 1.5],
            "b": b"a",
            "t": [AT, AT.replace(tzinfo=None), date(2024, 1, 2), time(1, 2), timedelta(seconds=1.5)],
            "n": [2**64, Decimal("1.50"), 2**64 - 1],
            "d": {1: {"a": None}},
        }
    )

    shown = state_to_json(data)

    assert {
        "f": ["NaN", "Infinity", "-Infinity", 1.5],
        "b": "YQ==",
        "t": ["2024-01-02T03:04:05.678901+00:00", "2024-01-02T03:04:05.678901", "2024-01-02", "01:02:00", 1.5],
        "n": ["0x10000000000000000", "1.50", 2**64 - 1],
        "d": {"1": {"a": None}},
    } == orjson.loads(orjson.dumps(shown))
