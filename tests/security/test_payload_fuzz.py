"""Whatever a device sends is a value or Undecodable, costs memory in proportion to its size, and leaves none behind.

FUZZ_PAYLOADS=1000000 tries more, FUZZ_SEED others; both are in the failure's text.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]  # it has no stubs
import pytest

from fp_events.codecs import decode, decoder, encode
from fp_events.domain.errors import Undecodable
from fp_events.domain.pipeline import Format

from .mutations import FORMATS, payloads

PAYLOADS = int(os.environ.get("FUZZ_PAYLOADS", "6000"))
SEED = os.environ.get("FUZZ_SEED", "harbour")
#: Payloads between two looks at the memory.
ROUND = 2000
#: As the daemon compiles them, one for each trigger.
DECODERS = {name: decoder(name) for name in FORMATS}
#: Blocks of the interpreter's allocator that may be left over after whatever number of payloads.
LEFT_OVER = 3000
#: Bytes by which the process may be larger, which the allocator gives back in large pieces only.
GROWTH = 32 << 20


def tried(payload: bytes, format_: Format | None, content_type: str | None) -> Any:
    """The value, or the text of the refusal; `decoder` has to agree with `decode`."""
    try:
        value = decode(payload, format=format_, content_type=content_type)
    except Undecodable as error:
        sentence = str(error)
        assert len(sentence) < 300
        assert sentence.isprintable()
        assert sentence == refusal(payload, format_, content_type)
        return None
    assert repr(DECODERS[format_](payload, content_type)) == repr(value)
    return value


def refusal(payload: bytes, format_: Format | None, content_type: str | None) -> str:
    """What the daemon's shorter way says of it."""
    try:
        DECODERS[format_](payload, content_type)
    except Undecodable as error:
        return str(error)
    return "taken"


def is_plain(value: Any) -> bool:
    """No NaN anywhere: JSON can say it again."""
    return not isinstance(value, float) or math.isfinite(value)


@pytest.mark.timeout(0 if PAYLOADS > 100_000 else 60)
def test_mutated_documents_are_values_or_refused() -> None:
    """All codecs, and what passes can be encoded and is finite; memory does not grow with the number of payloads."""
    process = psutil.Process()
    # After the first round, which fills caches, and now; not a list of all, which would be growth itself.
    first: tuple[int, int] | None = None
    last = (0, 0)
    begun = time.process_time()
    for number, (payload, format_, content_type) in enumerate(payloads(SEED, PAYLOADS)):
        try:
            value = tried(payload, format_, content_type)
            if value is not None:
                assert is_plain(value)
                encoded, _ = encode(value, nan="error")
                if not isinstance(value, str | bytes):
                    orjson.loads(encoded)
        except BaseException as error:
            error.add_note(f"seed {SEED!r}, payload {number}: {payload.hex()} as {format_} {content_type!r}")
            raise
        if number % ROUND == ROUND - 1:
            gc.collect()
            last = (sys.getallocatedblocks(), process.memory_info().rss)
            first = first or last

    assert first is not None
    blocks, resident = last[0] - first[0], last[1] - first[1]
    took = time.process_time() - begun
    print(f"{PAYLOADS} payloads in {took:.1f} s of CPU, left over {blocks} blocks; process {resident:+d} bytes")
    assert blocks < LEFT_OVER
    assert resident < GROWTH


def test_the_mutations_reach_every_format() -> None:
    """Of each format some payloads pass and some are refused: the fuzzer tests what it should."""
    passed: dict[Format | None, int] = dict.fromkeys(FORMATS, 0)
    refused = dict(passed)
    for payload, format_, content_type in payloads("reach", 3000):
        try:
            decode(payload, format=format_, content_type=content_type)
            passed[format_] += 1
        except Undecodable:
            refused[format_] += 1

    assert min(passed.values()) > 20
    assert [name for name, count in refused.items() if count < 20] == ["bytes"]
