"""The kept values of one pipeline's nodes, as plans use them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Literal, Protocol

from fp_events.domain.caching import MISSING
from fp_events.domain.errors import FpEventsError, Undecodable

from .entry import BadEntry, Entry, pack_entry, unpack_entry
from .names import path_of
from .shelf import Shelf, Unavailable, size_on_disk
from .tally import Tally

#: The share of a store that one value may take.
_LARGEST: Final = 0.5


class Codec(Protocol):
    """Values to bytes and back. All raise subclasses of FpEventsError, whose `what` continues "because"."""

    def encode(self, value: Any, classes: Mapping[str, type]) -> bytes:
        """Bytes from which the value comes back exactly."""

    def decode(self, data: bytes, classes: Mapping[str, type]) -> Any:
        """The value."""

    def digest(self, value: Any) -> str:
        """A hash that is the same in every process."""


class PipelineStore:
    """A `NodeStore`."""

    def __init__(
        self,
        pipeline: str,
        shelf: Shelf,
        shown: str,
        codec: Codec,
        tally: Tally,
        again: partial[PipelineStore],
    ) -> None:
        """`shown`: the store's URL without secrets, for messages. `again` opens it in another process."""
        self._again = again
        self._pipeline = pipeline
        self._shelf = shelf
        self._shown = shown
        self._codec = codec
        self.tally = tally

    def __reduce__(self) -> tuple[Any, ...]:
        # Nodes that run elsewhere take their store along, as plain settings.
        return self._again.func, self._again.args

    def key(self, node: str, version: str, arguments: Any) -> str | None:
        """See `NodeStore`."""
        try:
            found = self._codec.digest(arguments)
        except FpEventsError as error:
            self._count(
                "unhashable", node, f"its inputs have no stable form ({error})", mend="it is computed each time"
            )
            return None
        text = json.dumps([self._pipeline, node, version, found])
        return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()

    def keyless(self, node: str, error: Exception) -> None:
        """See `NodeStore`."""
        what = f"its key raised {type(error).__name__}: {error}"
        self._count("unhashable", node, what, mend="it is computed each time that it does")

    def get(self, node: str, key: str, *, ttl: float | None, classes: Mapping[str, type]) -> Any:
        """See `NodeStore`."""
        path = path_of(self._pipeline, node, key)
        try:
            data = self._shelf.read(path)
            entry = None if data is None else unpack_entry(data, pipeline=self._pipeline, node=node, key=key)
            fresh = entry is not None and entry.is_fresh(ttl, time.time())
            value = self._codec.decode(entry.value, classes) if entry is not None and fresh else MISSING
        except Unavailable as error:
            self._failed("read", error)
            return MISSING
        except (BadEntry, Undecodable) as error:
            self._count("damaged", node, f"a kept value was not used: {error}", mend="it is computed anew")
            return MISSING
        if value is MISSING:
            self.tally.add("missed" if entry is None else "expired")
            return MISSING
        self.tally.add("hits")
        with contextlib.suppress(Unavailable):
            # Another process may have deleted it meanwhile, or it is not ours to touch: it goes earlier then.
            self._shelf.used(path)
        return value

    def put(self, node: str, key: str, value: Any, *, ttl: float | None, classes: Mapping[str, type]) -> None:
        """See `NodeStore`."""
        try:
            encoded = self._codec.encode(value, classes)
        except FpEventsError as error:
            mend = error.mend or "it is computed each time"
            self._count("unencodable", node, f"its value cannot be kept: {error.what}", mend=mend)
            return
        entry = Entry(pipeline=self._pipeline, node=node, key=key, created=time.time(), value=encoded)
        data = pack_entry(entry)
        if size_on_disk(len(data)) > self._shelf.max_bytes * _LARGEST:
            what = f"its value of {len(data)} bytes is more than half of the store's {self._shelf.max_bytes}"
            self._count("too_large", node, what, mend="give run.cache.max_bytes more")
            return
        try:
            self._shelf.write(path_of(self._pipeline, node, key), data)
        except Unavailable as error:
            self._failed("written", error)
            return
        self.tally.add("stored")

    def _failed(self, verb: Literal["read", "written"], error: Unavailable) -> None:
        self.tally.add("failed")
        cause = error.__cause__
        if cause is not None:
            why = " ".join(str(cause).split()) or type(cause).__name__
            sentence = f"the cache at {self._shown} cannot be {verb} ({why}); runs go on without it"
            self.tally.tell("failed", verb, sentence)

    def _count(self, kind: str, node: str, what: str, *, mend: str) -> None:
        self.tally.add(kind)
        self.tally.tell(kind, node, f"cached node '{node}': {what}; {mend}")
