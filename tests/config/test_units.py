"""Durations and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fp_events.config import parse_duration, parse_size
from fp_events.config.units import format_duration, format_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("7d", 604800),
        ("1.5h", 5400),
        (" 2w ", 1209600),
        ("30", 30),
        (2.5, 2.5),
    ],
)
def test_durations_are_seconds(text: object, seconds: float) -> None:
    """Numbers are seconds, text has units."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "s", "1 hour", "-1s", "1h30", "inf", float("inf"), float("nan"), -1, True, None, []]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    """Neither negative, nor endless, nor half understood."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("2GiB", 2**31), ("500MB", 5 * 10**8), ("1.5KiB", 1536), ("10 kb", 10_000), ("7", 7), (9, 9)]
)
def test_sizes_are_bytes(text: object, size: int) -> None:
    """Powers of 1000 and of 1024 are told apart."""
    assert size == parse_size(text)


@pytest.mark.parametrize("text", ["", "GiB", "1XB", "-1", -1, 1.5, True, None])
def test_what_is_no_size_is_refused(text: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@given(st.integers(0, 10**7))
def test_what_is_written_is_read_back(number: int) -> None:
    """The reference shows defaults as a user would write them."""
    assert (number, number) == (parse_duration(format_duration(number)), parse_size(format_size(number)))
