"""What a plan's version is made of: its code, whatever of the project that code uses, and its configuration.

Comments, docstrings, line numbers and other functions of the module do not count. A helper two modules away does.
"""

from __future__ import annotations

import enum
import hashlib
import sys
from collections.abc import Mapping, Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from fp_events.domain.marks import Marks, NodeCache, NodeRetry, OfInputs, marks_of
from fp_events.tasks.binding import Binding
from fp_events.tasks.condition import Condition
from fp_events.tasks.task import Task

from .contents import contents
from .guards import is_guard
from .late_imports import late_imports
from .loading import Generation, public_text
from .selection import Selection

_MARKS = (Marks, NodeCache, NodeRetry, OfInputs, Condition)
_NOT_OF_CLASSES = frozenset({"__doc__", "__module__", "__dict__", "__weakref__"})
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis))


def version_of(selection: Selection, beside: Sequence[object] = ()) -> str:
    """Twelve hexadecimal digits, the same in every process of one Python minor version.

    `beside`: what else decides what an attempt does, such as hooks.
    """
    fingerprint = _Fingerprint(selection.graph.generation)
    fingerprint.text(f"python {sys.version_info.major}.{sys.version_info.minor}")
    fingerprint.value(dict(selection.graph.config))
    fingerprint.value(selection.outputs)
    fingerprint.value(sorted(selection.overrides))
    for name in selection.order:
        node = selection.graph.nodes[name]
        fingerprint.text(f"node {name} {public_text(str(node.type))}")
        for dependency, (kind, required) in node.input_types.items():
            fingerprint.text(f"{dependency} {public_text(str(kind))} {required}")
        fingerprint.value(node.callable)
    for value in beside:
        fingerprint.value(value)
    return fingerprint.digest()


def version_of_function(
    generation: Generation, name: str, function: object, arguments: Mapping[str, Any], *, thorough: bool = False
) -> str:
    """The same of one function with what it is called with.

    With `thorough` whatever objects of libraries are made of counts too, also where two processes may disagree on it.
    """
    fingerprint = _Fingerprint(generation, thorough=thorough)
    fingerprint.text(name)
    fingerprint.value(function)
    fingerprint.value(dict(arguments))
    return fingerprint.digest()


def config_key(config: Mapping[str, Any]) -> str:
    """A key for caches, equal for equal configurations."""
    fingerprint = _Fingerprint(None)
    fingerprint.value(dict(config))
    return fingerprint.digest()


class _Fingerprint:
    """Feeds values to a hash, each object once; works through a list, since wrappers nest deeply."""

    def __init__(self, generation: Generation | None, *, thorough: bool = False) -> None:
        self._generation = generation
        self._thorough = thorough
        self._hash = hashlib.sha256()
        self._seen: dict[int, int] = {}
        #: Keeps what was seen alive: an address is used again after its object has gone.
        self._kept: list[Any] = []

    def digest(self) -> str:
        return self._hash.hexdigest()[:12]

    def text(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._hash.update(len(data).to_bytes(8, "big") + data)

    def value(self, value: Any) -> None:
        waiting = [value]
        while waiting:
            waiting += reversed(self._one(waiting.pop()))

    def _one(self, value: Any) -> list[Any]:
        """Hash `value` itself; what it is made of comes next."""
        if type(value) is bytes:
            self._hash.update(b"bytes" + len(value).to_bytes(8, "big") + value)
            return []
        if isinstance(value, _PLAIN):
            # Hamilton keeps the module's name in tags of nodes.
            self.text(public_text(f"{type(value).__name__} {value!r}"))
            return []
        if id(value) in self._seen:
            self.text(f"again {self._seen[id(value)]}")
            return []
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        if isinstance(value, FunctionType):
            return self._guard(value) if is_guard(value) else self._function(value)
        if isinstance(value, CodeType):
            return self._code(value)
        if isinstance(value, MethodType):
            return [value.__func__, value.__self__]
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, ModuleType | BuiltinFunctionType):
            self.text(public_text(value.__name__))
            return []
        return self._data(value)

    def _guard(self, guard: Any) -> list[Any]:
        """What stands around a marked function is ours; what it asks for is the user's."""
        self.text("guard")
        return [marks_of(guard), guard.__wrapped__]

    def _function(self, function: FunctionType) -> list[Any]:
        self.text(f"function {public_text(function.__module__ or '')} {function.__qualname__}")
        parts: list[Any] = [function.__defaults__, function.__kwdefaults__]
        for cell in function.__closure__ or ():
            try:
                parts.append(cell.cell_contents)
            except ValueError:
                self.text("empty cell")
        if self._generation is not None and self._inside(function.__module__):
            parts = [_without_docstring(function), *parts, *self._globals(function)]
            parts += late_imports(self._generation, function.__module__, function.__code__)
        return parts

    def _code(self, code: CodeType) -> list[Any]:
        self.text(f"code {code.co_name} {code.co_flags} {code.co_argcount} {code.co_kwonlyargcount}")
        self.text(code.co_code.hex())
        self.text(" ".join([*code.co_names, "/", *code.co_varnames, "/", *code.co_freevars]))
        return list(code.co_consts)

    def _globals(self, function: FunctionType) -> list[Any]:
        """What the function's names mean, as far as the project gives them a meaning."""
        names = sorted(_names(function.__code__))
        found: list[Any] = []
        for name in names:
            if name not in function.__globals__:
                continue
            self.text(f"global {name}")
            found += self._used(function.__globals__[name], names)
        return found

    def _used(self, value: Any, names: Sequence[str]) -> list[Any]:
        """A value; and of a module of the project what of it has one of these names, in modules within it too."""
        found = []
        waiting = [value]
        seen: set[int] = set()
        while waiting:
            one = waiting.pop()
            found.append(one)
            if isinstance(one, ModuleType) and self._inside(one.__name__) and id(one) not in seen:
                seen.add(id(one))
                waiting += [vars(one)[used] for used in names if used in vars(one)]
        return found

    def _class(self, kind: type) -> list[Any]:
        self.text(f"class {public_text(kind.__module__)}.{kind.__qualname__}")
        if not self._inside(kind.__module__) and not self._is_own_exception(kind):
            return []
        parts: list[Any] = list(kind.__bases__)
        for name, member in sorted(vars(kind).items()):
            if name in _NOT_OF_CLASSES or (name.startswith(("_abc_", "__pydantic")) and name != "__pydantic_fields__"):
                continue
            self.text(name)
            parts.append(member)
        return parts

    def _data(self, value: Any) -> list[Any]:
        kind = type(value)
        if isinstance(value, _MARKS):
            return [_fields(value)]
        if isinstance(value, Task):
            return [value.func, value.when, value.retry, value.timeout, value.cached]
        if isinstance(value, Binding):
            return [value.upstream, value.may_be_none, dict(value.inputs)]
        self.text(f"value {public_text(kind.__module__)}.{kind.__qualname__}")
        if isinstance(value, enum.Enum):
            return [value.name, value.value]
        if isinstance(value, Mapping) and kind.__module__ in {"builtins", "collections", "types"}:
            return [part for item in value.items() for part in item]
        if isinstance(value, list | tuple):
            return [kind, *value] if self._inside(kind.__module__) else list(value)
        if isinstance(value, set | frozenset):
            return sorted(value, key=lambda item: (type(item).__name__, public_text(repr(item))))
        if isinstance(value, classmethod | staticmethod):
            return [value.__func__]
        if isinstance(value, property):
            return [value.fget, value.fset, value.fdel]
        if self._inside(kind.__module__):
            return [kind, _fields(value), *(value.items() if isinstance(value, Mapping) else ())]
        if kind.__module__.partition(".")[0] in {"hamilton", "functools"}:
            return [_fields(value), getattr(value, "__wrapped__", None)]
        return contents(value, thorough=self._thorough)

    def _is_own_exception(self, kind: type) -> bool:
        """Exceptions of the project carry the public name of their module."""
        if self._generation is None or not issubclass(kind, BaseException):
            return False
        module = sys.modules.get(f"{self._generation.package}.{kind.__module__}")
        return module is not None and vars(module).get(kind.__name__) is kind

    def _inside(self, module: str | None) -> bool:
        return self._generation is not None and module is not None and self._generation.contains(module)


def _without_docstring(function: FunctionType) -> CodeType:
    code = function.__code__
    if function.__doc__ is not None and code.co_consts and code.co_consts[0] == function.__doc__:
        return code.replace(co_consts=(None, *code.co_consts[1:]))
    return code


def _names(code: CodeType) -> set[str]:
    """Names used by a function and by what is defined in it."""
    names = set(code.co_names)
    waiting = [const for const in code.co_consts if isinstance(const, CodeType)]
    while waiting:
        inner = waiting.pop()
        names.update(inner.co_names)
        waiting += [const for const in inner.co_consts if isinstance(const, CodeType)]
    return names


def _fields(value: Any) -> dict[str, Any]:
    """An object's attributes, without what Hamilton fills in as it builds a graph."""
    fields = dict(getattr(value, "__dict__", {}))
    for slots in (getattr(kind, "__slots__", ()) for kind in type(value).__mro__):
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                fields[name] = getattr(value, name)
    if hasattr(value, "func") and hasattr(value, "args") and hasattr(value, "keywords"):
        fields.update(func=value.func, args=value.args, keywords=value.keywords)
    return {
        name: field
        for name, field in fields.items()
        if name not in {"_dependencies", "_depended_on_by", "_doc", "__wrapped__", "__weakref__"}
    }
