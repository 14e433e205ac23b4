"""What a handler needs of the codecs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from fp_events.domain.pipeline import Format


class Formats(Protocol):
    """Payloads, shown values and state, to bytes and back."""

    def decoder(self, format: Format | None) -> Callable[[bytes, str | None], Any]:  # noqa: A002 - the field's name
        """From a payload and its content type to its value; raises Undecodable."""

    def encode(self, value: Any, *, nan: Literal["null", "error"] = ...) -> tuple[bytes, str]:
        """Bytes to publish and their content type."""

    def values_encoder(self, names: Sequence[str]) -> Callable[[Mapping[str, Any], Mapping[str, bytes]], bytes]:
        """From a plan's outputs, and the JSON of some of them, to JSON for `runs show`; never raises."""

    def decode_request(self, data: bytes) -> dict[str, Any]:
        """What a command, a schedule or a call asked of a run, as it was stored or handed over."""

    def encode_state(self, values: dict[str, Any]) -> bytes:
        """State to keep."""

    def decode_state(self, data: bytes) -> dict[str, Any]:
        """State as it was kept."""
