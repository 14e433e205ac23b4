"""A trigger's `map` and `spread`, compiled when the pipeline is loaded: from a message to a plan's inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from .errors import InputInvalid
from .mapping import NO_DEFAULT, Path, parse_path, scope_of
from .message import Message
from .paths import is_index
from .pipeline import Trigger

#: (decoded payload, message, captures) -> inputs by name. Raises InputInvalid.
Mapper = Callable[[Any, Message, Mapping[str, str]], dict[str, Any]]

#: Defaults of these types cannot be changed by a run, so that no copies are needed.
_UNCHANGEABLE = frozenset({str, int, float, bool, type(None)})


def compile_inputs(trigger: Trigger, wanted: Collection[str], base: Mapping[str, Any] | None = None) -> Mapper:
    """The function that makes the inputs of one trigger's messages; `wanted`: the inputs that the plan has.

    With a map: the mapped names, no others. With `spread`: the payload's fields as far as they are wanted,
    and the mapped names on top. With neither: `payload`, the captures and `message`, as far as wanted.
    All of it on top of `base`. Raises ValueError for a path that cannot be read.
    """
    paths = {name: parse_path(text) for name, text in (trigger.map or {}).items()}
    below = dict(base or {})
    names = frozenset(wanted)
    if trigger.spread:
        return _spread(paths, names, below)
    if trigger.map is not None:
        return _mapped(paths, below)
    return _plain(names, below)


def _mapped(paths: Mapping[str, Path], base: Mapping[str, Any]) -> Mapper:
    """One dict display; where a path leads nowhere, `Path.get` finds the default or says what is missing."""

    def one_by_one(payload: Any, message: Message, captures: Mapping[str, str]) -> dict[str, Any]:
        scope = scope_of(payload, message, captures)
        return {**base, **{name: path.get(scope) for name, path in paths.items()}}

    namespace: dict[str, Any] = {"one_by_one": one_by_one, "base": base, "scope_of": scope_of}
    items = ["**base"] if base else []
    for number, (name, path) in enumerate(paths.items()):
        namespace |= {f"get{number}": path.get, f"default{number}": path.default}
        items.append(f"{name!r}: {_expression(path, number)}")
    text = (
        "def inputs(payload, message, captures):\n"
        f" try: return {{{', '.join(items)}}}\n"
        " except (LookupError, TypeError): return one_by_one(payload, message, captures)\n"
    )
    exec(compile(text, "<map>", "exec", dont_inherit=True), namespace)  # noqa: S102 (only `repr` of names enters it)
    made: Mapper = namespace["inputs"]
    return made


def _expression(path: Path, number: int) -> str:
    """Code for what a path leads to, in most messages; it raises LookupError or TypeError in all others."""
    if path.root == "topic":
        return f"captures[{path.parts[0]!r}]" if path.parts else "message.topic"
    if path.root == "message" and len(path.parts) <= 1:
        return ".".join(("message", *path.parts))
    if path.root == "payload" and not any(is_index(part) for part in path.parts):
        found = "payload" + "".join(f"[{part!r}]" for part in path.parts)
        if len(path.parts) == 1 and path.default is not NO_DEFAULT and type(path.default) in _UNCHANGEABLE:
            return f"{found} if {path.parts[0]!r} in payload else default{number}"
        return found
    return f"get{number}(scope_of(payload, message, captures))"


def _spread(paths: Mapping[str, Path], names: frozenset[str], base: Mapping[str, Any]) -> Mapper:
    mapped = _mapped(paths, {})

    def inputs(payload: Any, message: Message, captures: Mapping[str, str]) -> dict[str, Any]:
        if type(payload) is not dict and not isinstance(payload, Mapping):
            raise InputInvalid(
                f"the payload is a {type(payload).__name__}, not an object whose fields could become inputs",
                where="spread",
            )
        found = {**base, **{name: payload[name] for name in names if name in payload}}
        return {**found, **mapped(payload, message, captures)} if paths else found

    return inputs


def _plain(names: frozenset[str], base: Mapping[str, Any]) -> Mapper:
    with_payload, with_message = "payload" in names, "message" in names

    def inputs(payload: Any, message: Message, captures: Mapping[str, str]) -> dict[str, Any]:
        found = {**base, **{name: value for name, value in captures.items() if name in names}}
        if with_payload:
            found["payload"] = payload
        if with_message:
            found["message"] = message
        return found

    return inputs
