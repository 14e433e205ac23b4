"""Payloads in: what each format gives, and what it refuses."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cbor2
import msgpack
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fp_events.codecs import DEFAULT_LIMITS, Limits, decode, decoder
from fp_events.domain.errors import Undecodable
from fp_events.domain.pipeline import Format

FORMATS: list[Format] = ["json", "jsonlines", "text", "bytes", "msgpack", "cbor"]


def refusal(payload: bytes, format_: Format | None) -> str:
    """The sentence with which a payload is refused."""
    with pytest.raises(Undecodable) as caught:
        decode(payload, format=format_, content_type=None)
    return str(caught.value)


@pytest.mark.parametrize(
    ("format_", "payload", "expected"),
    [
        ("json", b'{"a": [1, 2.5, true, null, "\\u00e9\\ud83d\\ude00"]}', {"a": [1, 2.5, True, None, "é😀"]}),
        ("json", b" 1 ", 1),
        ("json", b"18446744073709551615", 2**64 - 1),
        ("json", b"-9223372036854775808", -(2**63)),
        ("json", b"1234567890123456789012.5", 1234567890123456789012.5),
        ("json", b"0.12345678901234567890123456789", 0.12345678901234568),
        ("json", b"12345678901234567890123e-20", 123.45678901234568),
        ("json", b'"12345678901234567890123"', "12345678901234567890123"),
        ("json", b'{"12345678901234567890123":"\\"99999999999999999999999"}', {"12345678901234567890123": '"99999999999999999999999'}),
        ("json", b'{"a":1,"a":2}', {"a": 2}),
        ("jsonlines", b'{"a":1}\n\n[2]\r\n"3"', [{"a": 1}, [2], "3"]),
        ("jsonlines", b"", []),
        ("text", "é\n".encode(), "é\n"),
        ("text", b"", ""),
        ("bytes", b"\xff\x00", b"\xff\x00"),
        ("msgpack", msgpack.packb({"a": [1, 2.5, b"x", None, True], 5: "e"}), {"a": [1, 2.5, b"x", None, True], 5: "e"}),
        ("msgpack", msgpack.packb(2**64 - 1), 2**64 - 1),
        ("msgpack", msgpack.packb(msgpack.Timestamp(1, 500_000_000)), datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
        ("cbor", cbor2.dumps({"a": [1, 2.5, b"x", None, True], 5: "e", -3: "é"}), {"a": [1, 2.5, b"x", None, True], 5: "e", -3: "é"}),
        ("cbor", bytes.fromhex("9f018202039f0405ffff"), [1, [2, 3], [4, 5]]),
        ("cbor", bytes.fromhex("bf61610161629f0203ffff"), {"a": 1, "b": [2, 3]}),
        ("cbor", bytes.fromhex("7f657374726561646d696e67ff"), "streaming"),
        ("cbor", bytes.fromhex("5f42010243030405ff"), b"\x01\x02\x03\x04\x05"),
        ("cbor", bytes.fromhex("f93c00"), 1.0),
        ("cbor", bytes.fromhex("c11a514b67b0"), datetime(2013, 3, 21, 20, 4, tzinfo=UTC)),
        ("cbor", bytes.fromhex("c074323031332d30332d32315432303a30343a30305a"), datetime(2013, 3, 21, 20, 4, tzinfo=UTC)),
        ("cbor", bytes.fromhex("d9d9f7820102"), [1, 2]),
        ("cbor", bytes.fromhex("1bffffffffffffffff"), 2**64 - 1),
        ("cbor", bytes.fromhex("3b7fffffffffffffff"), -(2**63)),
    ],
)  # fmt: skip
def test_a_payload_has_a_value(format_: Format, payload: bytes, expected: Any) -> None:
    """Exact values and types, whatever the content type says: the configuration counts."""
    value = decode(payload, format=format_, content_type="image/png")

    assert (expected, type(expected)) == (value, type(value))


@pytest.mark.parametrize(
    ("content_type", "payload", "expected"),
    [
        ("application/json", b"1", 1),
        ("Application/JSON; charset=utf-8", b"1", 1),
        ("application/vnd.api+json", b"1", 1),
        ("text/json", b"1", 1),
        ("application/x-ndjson", b"1\n2", [1, 2]),
        ("application/jsonl", b"1", [1]),
        ("text/plain", b"1", "1"),
        ("text/csv;header=present", b"a,b", "a,b"),
        ("application/msgpack", b"\x01", 1),
        ("application/x-msgpack", b"\x01", 1),
        ("application/vnd.msgpack", b"\x01", 1),
        ("application/cbor", b"\x01", 1),
        ("application/senml+cbor", b"\x01", 1),
        ("application/octet-stream", b"1", b"1"),
        ("image/png", b"1", b"1"),
        ("application/x-protobuf", b"1", b"1"),
        ("json", b"1", 1),
        ("", b"1", 1),
        (" ; ", b"x", "x"),
    ],
)
def test_a_content_type_says_the_format(content_type: str, payload: bytes, expected: Any) -> None:
    """Parameters and case do not matter; an unknown type is bytes; what is no type is as none."""
    assert expected == decode(payload, format=None, content_type=content_type)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", None),
        (b'{"a":1}', {"a": 1}),
        (b"21.5", 21.5),
        (b"true", True),
        (b"null", None),
        (b"ON", "ON"),
        (b"online\r\n", "online\r\n"),
        (b"2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        (b"-5 \xc2\xb0C", "-5 °C"),
        (b"1,2,3", "1,2,3"),
        (b"00:07", "00:07"),
        (b"007", "007"),
        (b"  ", "  "),
        (b"a\x00b", b"a\x00b"),
        (b"\xff\xd8\xff", b"\xff\xd8\xff"),
    ],
)
def test_sniffing(payload: bytes, expected: Any) -> None:
    """JSON, else text, else bytes."""
    assert expected == decode(payload, format=None, content_type=None)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":1',
        b' [1,2',
        b'"abc',
        b"{a: 1}",
        b'{"a":NaN}',
        b"NaN",
        b"nan",
        b"-Infinity",
        b"-inf",
        b"1e999",
        b"123456789012345678901234567890",
        b"9" * 5000,
        b'"\\ud800"',
        b"[" * 1_000_000,
    ],
)  # fmt: skip
def test_sniffing_does_not_turn_broken_json_into_text(payload: bytes) -> None:
    """What starts like JSON, or is a number beyond JSON, is refused as under `format: json`."""
    assert refusal(payload, None) == refusal(payload, "json")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "the payload is not JSON: it is empty"),
        (b"  ", "the payload is not JSON: it is empty"),
        (b'{"a":', "at byte 5"),
        ('["é",x]'.encode(), "at byte 6"),
        (b'["\xff"]', "the payload is not JSON: invalid UTF-8 at byte 2"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"[1] 2", "at byte 4"),
        (b"[NaN]", "at byte 1"),
        (b"[Infinity]", "at byte 1"),
        (b"[1e999]", "infinity"),
        (b'["\\ud800"]', "surrogate"),
        (b"[18446744073709551616]", "the integer at byte 1 is beyond 64 bits"),
        (b'{"a":-9223372036854775809}', "the integer at byte 5 is beyond 64 bits"),
        (b'["\\\\",12345678901234567890123]', "the integer at byte 6 is beyond 64 bits"),
        (b"9" * 5000, "infinity"),
        (b"9" * 300, "the integer at byte 0 is beyond 64 bits"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested deeper than 64 levels"),
        (b"[" * 1_000_000 + b"]" * 1_000_000, "nested too deep"),
        (b'{"a":' * 1_000_000, "nested too deep"),
    ],
)
def test_json_is_strict(payload: bytes, words: str) -> None:
    """One sentence with the byte, in each of the cases that design.md calls REJECTED."""
    message = refusal(payload, "json")

    assert (True, False) == (words in message, "\n" in message)


def test_json_as_deep_as_allowed() -> None:
    """64 levels pass, brackets in strings do not count, and the limit can be set."""
    deep = b"[" * 64 + b"]" * 64
    strings = orjson.dumps(["[" * 1000, "{" * 1000])

    assert orjson.loads(deep) == decode(deep, format="json", content_type=None)
    assert ["[" * 1000, "{" * 1000] == decode(strings, format="json", content_type=None)
    assert [[1]] == decode(b"[[1]]", format="json", content_type=None, limits=Limits(depth=2))
    with pytest.raises(Undecodable, match="deeper than 1 levels"):
        decode(b"[[1]]", format="json", content_type=None, limits=Limits(depth=1))


def test_a_bad_line_is_named() -> None:
    """JSON lines: the number of the line, and the byte in the whole payload."""
    assert "line 3 of the payload is not JSON" in refusal(b'{"a":1}\n\n{"b":}\n', "jsonlines")
    assert "at byte 14" in refusal(b'{"a":1}\n\n{"b":}\n', "jsonlines")


@pytest.mark.parametrize("format_", [*FORMATS, None])
def test_size_is_limited_first(format_: Format | None) -> None:
    """A payload beyond the limit is refused before anything reads it."""
    with pytest.raises(Undecodable, match="has 11 bytes, and 10 are allowed"):
        decode(b"12345678901", format=format_, content_type=None, limits=Limits(size=10))


@pytest.mark.parametrize(
    ("format_", "payload"),
    [
        ("json", b"[" + b"[]," * 1_000_000 + b"[]]"),
        (None, b"[" + b"0," * 1_000_000 + b"0]"),
        ("jsonlines", b"1\n" * 1_000_001),
        ("msgpack", b"\xdd\x00\x0f\x42\x41" + b"\x80" * 1_000_001),
        ("msgpack", b"\xdc\x00\x10" + (b"\xdc\xff\xff" + b"\x80" * 65_535) * 16),
        ("cbor", b"\x9a\x00\x0f\x42\x41" + b"\xa0" * 1_000_001),
        ("cbor", b"\x9f" + b"\xa0" * 1_000_001 + b"\xff"),
    ],
)
def test_the_number_of_values_is_limited(format_: Format | None, payload: bytes) -> None:
    """A million values: more would take a hundred times the payload's memory."""
    assert "more than 1000000 values" in refusal(payload, format_)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x01\x02",
        b"\x92\x01",
        b"\xa5ab",
        b"\xa1\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdd\x00\x0f\xff\xff" * 100_000,
        b"\xdf\x00\x0f\xff\xff" * 100_000,
        b"\x91" * 1_000_000 + b"\x01",
        b"\x91" * 65 + b"\x01",
        b"\x81\xa1a" * 65 + b"\x01",
        b"\xdd\x00\x00\x00\x01" * 65 + b"\x01",
        msgpack.packb(float("nan")),
        msgpack.packb([1, {"a": float("inf")}]),
        b"\xca" + struct.pack(">f", float("-inf")),
        b"\x81\x91\x01\x01",
        b"\x81\xcb" + struct.pack(">d", 1.5) + b"\x01",
        b"\x81\xc0\x01",
        b"\x81\xc4\x01a\x01",
        msgpack.packb(msgpack.ExtType(5, b"x")),
        msgpack.packb(msgpack.Timestamp(2**62, 0)),
        b"\x81\xd7\xff" + bytes(8) + b"\x01",
        b"\xd4\xff\x00",
    ],
)
def test_msgpack_is_bounded(payload: bytes) -> None:
    """Lengths that lie, depth, NaN, odd keys and extensions are refused, fast."""
    assert "MessagePack" in refusal(payload, "msgpack")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "cut off"),
        (b"\x01\x02", "goes on after its value, at byte 1"),
        (b"\x82\x01", "cut off"),
        (b"\x65ab", "cut off"),
        (b"\x61\xff", "invalid UTF-8"),
        (b"\x7f\x61\xff\xff", "invalid UTF-8"),
        (b"\x9b" + b"\xff" * 8, "declares more than it holds"),
        (b"\xbb" + b"\xff" * 8, "declares more than it holds"),
        (b"\x5b" + b"\xff" * 8, "declares more than it holds"),
        (b"\x7b\x7f" + b"\xff" * 7, "declares more than it holds"),
        (b"\x9a\x00\x0f\xff\xff" * 200_000, "declares more than it holds"),
        (b"\xa1" * 1_000_000, "key"),
        (b"\xa1\x01" * 1_000_000, "deeper than 64"),
        (b"\x9f" * 1_000_000, "deeper than 64"),
        (b"\xbf\x01" * 1_000_000, "deeper than 64"),
        (b"\xd9\xd9\xf7" * 1_000_000, "tag 55799 is not supported"),
        (b"\xc1" * 1_000_000, "deeper than 64"),
        (b"\xd9\xd9\xf7\x81", "cut off, or declares more than it holds, at byte 3"),
        (b"\x81" * 65 + b"\x01", "deeper than 64"),
        (b"\xa1\x01" * 65 + b"\x01", "deeper than 64"),
        (cbor2.dumps(2**64), "tag 2 is not supported"),
        (b"\xc2\x5a\x00\x0f\xff\xff" + b"\xff" * 0xFFFFF, "tag 2 is not supported"),
        (b"\x3b\x80" + bytes(7), "beyond 64 bits"),
        (b"\xf9\x7e\x00", "NaN or infinite"),
        (b"\xf9\x7c\x00", "NaN or infinite"),
        (cbor2.dumps([1.0, float("nan")]), "NaN or infinite"),
        (b"\xfb" + struct.pack(">d", float("-inf")), "NaN or infinite"),
        (b"\xd8\x1c\x81\xd8\x1d\x00", "tag 28 is not supported"),
        (b"\xd8\x1d\x00", "tag 29 is not supported"),
        (b"\xd8\x23\x61(", "tag 35 is not supported"),
        (b"\xd9\x01\x00\x81\x61a", "tag 256 is not supported"),
        (b"\xd9\x01\x02\x81\x01", "tag 258 is not supported"),
        (b"\xf7", "neither"),
        (b"\xf8\x20", "neither"),
        (b"\xff", "end without a beginning"),
        (b"\x81\xff", "end without a beginning"),
        (b"\xbf\x01\xff", "end without a beginning"),
        (b"\xa1\x81\x01\x01", "key"),
        (b"\xa1\xf9\x3c\x00\x01", "key"),
        (b"\xa1\xf6\x01", "key"),
        (b"\xa1\x41a\x01", "key"),
        (b"\xa1\xc1\x01\x01", "key"),
        (b"\x1c", "begins nothing"),
        (b"\x1f", "begins nothing"),
        (b"\xdf\x01", "begins nothing"),
        (b"\x5f\x61a\xff", "something else"),
        (b"\x5f" + b"\x40" * 70_000 + b"\xff", "65536 parts"),
        (b"\xc1\x1b" + b"\xff" * 8, "date"),
        (b"\xc0\x61x", "date"),
        (b"\xc0\x01", "date"),
        (b"\xc1\x61x", "date"),
        (b"\xc1\x80", "date"),
    ],
)
def test_cbor_is_bounded(payload: bytes, words: str) -> None:
    """Lengths that lie, depth, tags that share or cost, NaN and odd keys are refused before a library decodes."""
    assert words in refusal(payload, "cbor")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON_VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=20
)
BINARY_VALUES = st.recursive(
    SCALARS | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text() | st.integers(-(2**63), 2**64 - 1), inner, max_size=20)
    ),
    max_leaves=40,
)


@settings(max_examples=300, deadline=None)
@given(BINARY_VALUES)
def test_binary_formats_give_back_what_was_packed(value: Any) -> None:
    """MessagePack and CBOR, as their libraries write them."""
    assert value == decode(msgpack.packb(value), format="msgpack", content_type=None)
    assert value == decode(cbor2.dumps(value), format="cbor", content_type=None)


@settings(max_examples=3000, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([*FORMATS, None]))
@example(b"\xc1\xfb\x7f\xef\xff\xff\xff\xff\xff\xff", "cbor")
def test_any_bytes_are_a_value_or_undecodable(payload: bytes, format_: Format | None) -> None:
    """Nothing else is ever raised."""
    _value_or_sentence(payload, format_)


@settings(max_examples=500, deadline=None)
@given(BINARY_VALUES, st.sampled_from(["msgpack", "cbor"]), st.data())
def test_damaged_payloads_are_a_value_or_undecodable(value: Any, format_: Format, data: st.DataObject) -> None:
    """A valid payload with one byte changed, or cut, is harmless."""
    payload = bytearray(msgpack.packb(value) if format_ == "msgpack" else cbor2.dumps(value))
    place = data.draw(st.integers(0, len(payload) - 1))

    _value_or_sentence(bytes(payload[:place]), format_)
    payload[place] = data.draw(st.integers(0, 255))
    _value_or_sentence(bytes(payload), format_)


@settings(max_examples=1500, deadline=None)
@given(
    st.text(alphabet='{}[]",:0123456789eE+-.\\ud8 \n\t\x00ntrfals', max_size=60),
    st.sampled_from(["json", "jsonlines", None]),
)
def test_what_resembles_json_is_a_value_or_undecodable(text: str, format_: Format | None) -> None:
    """Texts of JSON's own characters."""
    _value_or_sentence(text.encode(), format_)


def _value_or_sentence(payload: bytes, format_: Format | None) -> None:
    sentence = ""
    try:
        decode(payload, format=format_, content_type=None)
    except Undecodable as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert len(sentence) < 200


@settings(max_examples=500, deadline=None)
@given(st.integers(-(10**30), 10**30), st.sampled_from(["%d", "[%d]", '{"a":%d}', '["x\\"",%d]', "[1.5,%d,2e3]"]))
@example(2**64, "%d")
@example(-(2**63) - 1, "%d")
def test_integers_are_exact_or_refused(number: int, frame: str) -> None:
    """No integer ever becomes a float."""
    payload = (frame % number).encode()

    if -(2**63) <= number < 2**64:
        assert str(number) in str(decode(payload, format="json", content_type=None))
    else:
        assert "beyond 64 bits" in refusal(payload, "json")


@pytest.mark.parametrize("format_", [*FORMATS, None])
@pytest.mark.parametrize(
    "payload", [b'{"hunter2": hunter2}', b"[hunter2\xff", b"\xa7hunter2", b"\x67hunter2\xff", b"\x81\xa7hunter2"]
)
def test_an_error_does_not_quote_the_payload(format_: Format | None, payload: bytes) -> None:
    """A payload may be a secret; no refusal carries its content."""
    sentence = ""
    try:
        decode(payload, format=format_, content_type=None)
    except Undecodable as error:
        sentence = str(error)

    assert "hunter2" not in sentence


SMALL = Limits(size=60, depth=3, items=20)
PAYLOADS = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=40).map(str.encode),
    st.recursive(st.none() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20).map(
        lambda value: json.dumps(value).encode()
    ),
)  # fmt: skip


@given(
    payload=PAYLOADS,
    format_=st.sampled_from([None, *FORMATS]),
    content_type=st.sampled_from([None, "", "application/json", "Application/JSON", "text/plain", "application/cbor", "json"]),
    limits=st.sampled_from([DEFAULT_LIMITS, SMALL]),
)  # fmt: skip
@example(payload=b"18446744073709551616", format_="json", content_type=None, limits=DEFAULT_LIMITS)
@example(payload=b"", format_=None, content_type=None, limits=DEFAULT_LIMITS)
@example(payload=b"", format_="json", content_type=None, limits=DEFAULT_LIMITS)
@example(payload=b"NaN", format_=None, content_type=None, limits=DEFAULT_LIMITS)
@example(payload=b'{"a":', format_=None, content_type=None, limits=DEFAULT_LIMITS)
@example(payload=b"[[[[1]]]]", format_=None, content_type=None, limits=SMALL)
@example(payload=b"[" + b"0," * 20 + b"0]", format_="json", content_type=None, limits=SMALL)
@example(payload=b"x" * 61, format_=None, content_type=None, limits=SMALL)
@example(payload=b"[" * 100 + b"]" * 100, format_=None, content_type="application/json", limits=DEFAULT_LIMITS)
def test_a_decoder_does_what_decode_does(
    payload: bytes, format_: Format | None, content_type: str | None, limits: Limits
) -> None:
    """The same values, and the same refusals."""

    def outcome(run: Callable[[], Any]) -> str:
        try:
            return repr(run())
        except Undecodable as error:
            return f"refused: {error}"

    expected = outcome(lambda: decode(payload, format=format_, content_type=content_type, limits=limits))

    assert expected == outcome(lambda: decoder(format_, limits)(payload, content_type))
