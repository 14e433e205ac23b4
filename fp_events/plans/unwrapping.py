"""The code of a node's call, without the wrappers that Hamilton's commonest decorators put around a function.

A wrapper sorts its arguments anew in every run (1 us for `@parameterize`, 3 us for `@inject`); here they are sorted
once. A wrapper is recognised by its name and shape, and everything else is called as it is; that the values are
those of the wrapper is what `tests/plans` compares with Hamilton's driver.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any

from .tasks import RENAMING

_PARAMETERIZED = "parameterize.expand_node.<locals>.replacement_function"
_PARAMETERIZED_WITH = {
    "upstream_dependencies",
    "literal_dependencies",
    "grouped_list_dependencies",
    "grouped_dict_dependencies",
    "former_inputs",
}
#: What runs the function of `@extract_fields`, `@unpack_fields`, `@extract_columns`, and fills in what is missing.
_GENERATORS = {
    "extract_fields.transform_node.<locals>.dict_generator",
    "unpack_fields.transform_node.<locals>.tuple_generator",
    "extract_columns.transform_node.<locals>.df_generator",
}
_FIELD = "extract_fields.transform_node.<locals>.extractor_fn"
_ITEM = "unpack_fields.transform_node.<locals>.extractor"


def call_of(node: Any, function: Any, number: int, places: Mapping[str, str], bind: Callable[[str, Any], None]) -> str:
    """An expression for the value that `function` gives for a node (or the coroutine); `bind` gives names to objects.

    A dependency without a place is an optional input that the caller does not have: it is left out.
    """
    arguments = {name: places[name] for name in node.input_types if name in places}
    bind(f"f{number}", function)
    taken = _taken_out(function, arguments)
    if taken:
        return f"{taken} else f{number}({arguments_of(function, arguments)})"
    for level in range(10):
        inner = (
            _parameterized(function, arguments, f"k{number}_{level}_", bind)
            or _generated(function, arguments)
            or _renamed(function, arguments)
        )
        if inner is None:
            break
        function, arguments = inner
    bind(f"f{number}", function)
    return f"f{number}({arguments_of(function, arguments)})"


def _closure(function: Any, name: str) -> Any:
    """What a wrapper holds as `name`; None where it has no such thing."""
    names = function.__code__.co_freevars
    return function.__closure__[names.index(name)].cell_contents if name in names else None


def _is(function: Any, *names: str) -> bool:
    return (
        isinstance(function, FunctionType)
        and function.__module__ == "hamilton.function_modifiers.expanders"
        and function.__qualname__ in names
    )


def _parameterized(
    wrapper: Any, given: Mapping[str, str], prefix: str, bind: Callable[[str, Any], None]
) -> tuple[Any, dict[str, str]] | None:
    """The function that `@parameterize` or `@inject` wrapped, and its arguments."""
    if not (isinstance(wrapper, partial) and not wrapper.args and _is(wrapper.func, _PARAMETERIZED)):
        return None
    shape: dict[str, Any] = getattr(wrapper.func, "__kwdefaults__", None) or {}
    node = _closure(wrapper.func, "node_")
    if set(shape) != _PARAMETERIZED_WITH or node is None:
        return None
    constants: list[Any] = []

    def constant(value: Any) -> str:
        constants.append(value)
        return f"{prefix}{len(constants)}"

    def one(dependency: Any) -> str:
        return given[dependency.source] if hasattr(dependency, "source") else constant(dependency.value)

    arguments: dict[str, str] = {}
    try:
        for name in shape["former_inputs"]:
            if name in shape["upstream_dependencies"]:
                arguments[name] = given[shape["upstream_dependencies"][name].source]
            elif name in shape["literal_dependencies"]:
                arguments[name] = constant(shape["literal_dependencies"][name].value)
            elif name in shape["grouped_list_dependencies"]:
                items = [one(item) for item in shape["grouped_list_dependencies"][name].sources]
                arguments[name] = f"[{', '.join(items)}]"
            elif name in shape["grouped_dict_dependencies"]:
                pairs = shape["grouped_dict_dependencies"][name].sources.items()
                arguments[name] = f"{{{', '.join(f'{str(key)!r}: {one(item)}' for key, item in pairs)}}}"
            elif name in given:
                arguments[name] = given[name]
    except (KeyError, AttributeError):
        # A source that the caller does not have: the wrapper knows what that means.
        return None
    for number, value in enumerate(constants, start=1):
        bind(f"{prefix}{number}", value)
    return node.callable, arguments


def _generated(wrapper: Any, given: Mapping[str, str]) -> tuple[Any, dict[str, str]] | None:
    """The function whose fields, items or columns are taken out elsewhere, where nothing is filled in."""
    if not _is(wrapper, *_GENERATORS):
        return None
    function, decorator = _closure(wrapper, "fn"), _closure(wrapper, "self")
    is_whole = wrapper.__code__.co_flags & _COROUTINE == 0 and getattr(decorator, "fill_with", None) is None
    return (function, dict(given)) if callable(function) and is_whole else None


def _renamed(wrapper: Any, given: Mapping[str, str]) -> tuple[Any, dict[str, str]] | None:
    """The function of a task, and its arguments under the names of its parameters."""
    if not isinstance(wrapper, FunctionType) or wrapper.__code__ is not RENAMING:
        return None
    names = _closure(wrapper, "renamed")
    return _closure(wrapper, "func"), {names[name]: place for name, place in given.items()}


#: inspect.CO_COROUTINE.
_COROUTINE = 0x80


def _taken_out(wrapper: Any, given: Mapping[str, str]) -> str:
    """The first half of a conditional expression: a field or an item, if it is there. Else the wrapper explains."""
    if len(given) != 1 or not _is(wrapper, _FIELD, _ITEM) or len(wrapper.__defaults__ or ()) != 1:
        return ""
    (whole,) = given.values()
    (key,) = wrapper.__defaults__
    if wrapper.__qualname__ == _FIELD and type(key) is str:
        return f"{whole}[{key!r}] if {key!r} in {whole}"
    if wrapper.__qualname__ == _ITEM and type(key) is int and key >= 0:
        return f"{whole}[{key}] if {key} < len({whole})"
    return ""


def arguments_of(function: Any, arguments: Mapping[str, str]) -> str:
    """The arguments of a call: positional as far as that is the same, then keywords, then ``**`` for odd names.

    Without a function they all go by name.
    """
    names = list(arguments)
    ahead = _positional(function, names)
    parts = [arguments[name] for name in names[:ahead]]
    odd = []
    for name in names[ahead:]:
        if name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and not name.startswith("__"):
            parts.append(f"{name}={arguments[name]}")
        else:
            odd.append(f"{name!r}: {arguments[name]}")
    if odd:
        parts.append(f"**{{{', '.join(odd)}}}")
    return ", ".join(parts)


def _positional(function: Any, wanted: Sequence[str]) -> int:
    """How many of `wanted` are exactly the leading parameters. Wrappers have other parameters than they show."""
    if not isinstance(function, FunctionType):
        return 0
    code = function.__code__
    parameters = code.co_varnames[: code.co_argcount]
    count = 0
    for name, parameter in zip(wanted, parameters, strict=False):
        if name != parameter:
            break
        count += 1
    return count
