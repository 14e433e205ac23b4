"""How inputs and outputs of runs in this process travel: as JSON, or as the objects that they are.

Objects stay where they are under an executor of this process. To processes of ours they go as pickles, over sockets
that this process made for its own children. Elsewhere nothing is pickled: values are JSON there.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, Protocol

from fp_events import codecs
from fp_events.domain.errors import UsageError
from fp_events.runtime.formats import Formats

#: Executors whose runs share this process with the caller.
IN_PROCESS = ("local", "threadpool")
#: What `worker_loader` is told.
Elsewhere = Literal["json", "pickle"]
#: A module's name in a pickle -> that module of the plans that are in force here; None: it is not the project's.
Modules = Callable[[str], ModuleType | None]


class Values(Protocol):
    """One way for inputs and outputs to travel."""

    @property
    def here(self) -> Formats:
        """Formats for handlers of this process."""

    @property
    def elsewhere(self) -> Elsewhere:
        """How they travel to processes of ours."""

    def sent(self, request: Mapping[str, Any], executor: str) -> bytes:
        """A request on its way to a handler under a type of executor."""

    def received(self, values: bytes, modules: Modules) -> Mapping[str, Any]:
        """The outputs in a result."""

    def shown(self, values: Mapping[str, Any]) -> bytes:
        """Outputs as JSON, for callbacks."""


class JsonValues:
    """As JSON shows them."""

    here: Formats = codecs
    elsewhere: Elsewhere = "json"

    def sent(self, request: Mapping[str, Any], executor: str) -> bytes:
        """JSON; inputs came from a command line and are JSON already."""
        del executor
        return json.dumps(request).encode()

    def received(self, values: bytes, modules: Modules) -> Mapping[str, Any]:
        """What the handler's JSON says."""
        del modules
        found: dict[str, Any] = json.loads(values)
        return found

    def shown(self, values: Mapping[str, Any]) -> bytes:
        """They are JSON already."""
        return json.dumps(dict(values)).encode()


class Carried(bytes):
    """Stands for an object of this process where bytes are passed on."""

    carried: Any

    @classmethod
    def of(cls, value: Any) -> Carried:
        """What stands for `value`, and keeps it alive."""
        made = cls(b"an object")
        made.carried = value
        return made


class _Formats:
    """The codecs, with other requests and other values."""

    decoder = staticmethod(codecs.decoder)
    encode = staticmethod(codecs.encode)
    encode_state = staticmethod(codecs.encode_state)
    decode_state = staticmethod(codecs.decode_state)

    def __init__(self, decode_request: Callable[[bytes], dict[str, Any]], keep: Callable[[Any], bytes]) -> None:
        self.decode_request = decode_request
        self._keep = keep

    def values_encoder(self, names: Sequence[str]) -> Callable[[Mapping[str, Any], Mapping[str, bytes]], bytes]:
        """From a plan's outputs to what stands for them."""
        return lambda values, _known: self._keep({name: values[name] for name in names})


def _carried(data: bytes) -> dict[str, Any]:
    assert isinstance(data, Carried)
    found: dict[str, Any] = data.carried
    return found


class ObjectValues:
    """As the objects that they are."""

    here: Formats = _Formats(_carried, Carried.of)
    elsewhere: Elsewhere = "pickle"

    def sent(self, request: Mapping[str, Any], executor: str) -> bytes:
        """The object itself, a pickle or JSON. Raises UsageError for an input that cannot go to another process."""
        if executor in IN_PROCESS:
            return Carried.of(dict(request))
        try:
            if executor == "processpool":
                return pickle.dumps(dict(request), pickle.HIGHEST_PROTOCOL)
            return json.dumps(request).encode()
        except Exception as error:
            raise UsageError(
                f"an input cannot be sent to executor '{executor}': {type(error).__name__}: {error}",
                mend="run it with executor 'local' or 'threadpool'",
            ) from error

    def received(self, values: bytes, modules: Modules) -> Mapping[str, Any]:
        """The outputs: from here, or from a process of ours, or JSON from elsewhere."""
        found: dict[str, Any]
        if isinstance(values, Carried):
            found = _carried(values)
        elif values.startswith(b"{"):
            found = json.loads(values)
        else:
            found = unpickled(values, modules)
        return found

    def shown(self, values: Mapping[str, Any]) -> bytes:
        """JSON, cut where it is long."""
        return codecs.values_encoder(tuple(values))(values, {})


def pickling(modules: Modules) -> Formats:
    """Formats for handlers in a process of ours."""
    return _Formats(lambda data: unpickled(data, modules), lambda values: pickle.dumps(values, pickle.HIGHEST_PROTOCOL))


def unpickled(data: bytes, modules: Modules) -> Any:
    """What a process of ours has pickled; each process has imported the project's classes under names of its own."""
    return _Unpickler(io.BytesIO(data), modules).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, modules: Modules) -> None:
        super().__init__(file)
        self._modules = modules

    def find_class(self, module_name: str, global_name: str) -> Any:
        module = self._modules(module_name)
        if module is None:
            return super().find_class(module_name, global_name)
        found: Any = module
        for part in global_name.split("."):
            found = getattr(found, part)
        return found
