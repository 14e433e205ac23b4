"""A pipeline's module: what it takes from FlowerPower, and what it asks for.

The text is changed only where the result is certain to mean the same. The modules that FlowerPower makes read their
own configuration while they are imported::

    PARAMS = Config.load(Path(__file__).parents[1], pipeline_name="x").pipeline.h_params

    @parameterize(**PARAMS.mean)
    def mean(values: list, days: int) -> float: ...

with ``params: {mean: {days: 3}}``. Here a parameter is filled by its name: ``params: {days: 3}``, and no decorator.
Where another function takes ``days`` too, the values go into the module instead.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: Attributes after ``Config.load(…)`` -> which block, and whether in the form that `parameterize` takes.
_READS: Final = {
    ("pipeline", "h_params"): ("params", True),
    ("pipeline", "hamilton_func_params"): ("params", True),
    ("pipeline", "params"): ("params", False),
    ("pipeline", "func"): ("params", False),
    ("pipeline", "run", "inputs"): ("inputs", False),
    ("pipeline", "run", "config"): ("config", False),
}
#: Decorators beside `parameterize` that do not change what its function takes.
_HARMLESS: Final = frozenset({"config", "tag", "tag_outputs", "check_output", "check_output_custom", "cache"})


@dataclass(slots=True)
class Reading:
    """``PARAMS = Config.load(…).pipeline.h_params``: settings read while the module is imported."""

    name: str
    statement: ast.Assign
    #: ``params``, ``inputs`` or ``config``; empty: something else.
    block: str
    #: Whether in the form that `parameterize` takes.
    hamilton: bool
    uses: list[ast.Name] = field(default_factory=list)


class Module:
    """The syntax of one module. A module that is not there, or is no Python, has no functions."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        #: Line of what is not Python; None: it is.
        self.broken: int | None = None
        try:
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError) as error:
            self.broken = getattr(error, "lineno", None) or 1
            self.tree = ast.Module(body=[], type_ignores=[])
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        #: Node functions by the name of their node; `config.when` gives a node several.
        self.functions: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
        for statement in self.tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and not statement.name.startswith("_"):
                self.functions.setdefault(statement.name.partition("__")[0], []).append(statement)
        #: Text anywhere but in ``x["text"]``: decorators name inputs so.
        self._texts = {
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and not isinstance(self.parents.get(node), ast.Subscript)
        }

    def where(self, node: ast.AST) -> str:
        """File and line of a piece of it."""
        return f"{self.file}:{getattr(node, 'lineno', 1)}"

    def arguments(self, name: str) -> set[str]:
        """Names of what the functions of a node take."""
        return {argument for function in self.functions.get(name, ()) for argument in arguments_of(function)}

    def takers(self, argument: str) -> list[str]:
        """Nodes whose functions take an argument of that name."""
        return [name for name in self.functions if argument in self.arguments(name)]

    def hint(self, argument: str) -> str:
        """The type hint of a parameter, as it is written; empty: none, or no such parameter."""
        for name in self.takers(argument):
            for function in self.functions[name]:
                every = function.args
                for one in (*every.posonlyargs, *every.args, *every.kwonlyargs):
                    if one.arg == argument and one.annotation is not None:
                        return ast.unparse(one.annotation)
        return ""

    def takes(self, name: str) -> bool:
        """Whether an input of that name can be asked for: as a parameter, or as the text in a decorator."""
        return name not in self.functions and (bool(self.takers(name)) or name in self._texts)

    def imports(self) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
        """Imports of anything of FlowerPower, each with the module's name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and _is_flowerpower(node.module):
                yield node, node.module or ""
            elif isinstance(node, ast.Import):
                yield from ((node, name.name) for name in node.names if _is_flowerpower(name.name))

    def readings(self) -> list[Reading]:
        """Settings that are read while the module is imported, with all uses of each."""
        found = []
        for statement in self.tree.body:
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target = statement.targets[0]
                read = _read(statement.value, self.config_names())
                if isinstance(target, ast.Name) and read is not None:
                    block, hamilton = read
                    reading = Reading(target.id, statement, block, hamilton)
                    reading.uses = [
                        node for node in ast.walk(self.tree)
                        if isinstance(node, ast.Name) and node.id == target.id and node is not target
                    ]  # fmt: skip
                    found.append(reading)
        return found

    def config_names(self) -> set[str]:
        """What `Config`, `load` and the like are called here."""
        return {
            alias.asname or alias.name
            for node, _ in self.imports()
            for alias in node.names
            if isinstance(node, ast.ImportFrom)
        }

    def uses(self, name: str) -> list[ast.Name]:
        """Where a name is read."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Name) and node.id == name]


def arguments_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names of a function's parameters."""
    every = function.args
    return [argument.arg for argument in (*every.posonlyargs, *every.args, *every.kwonlyargs)]


def group_of(use: ast.Name, parents: Mapping[ast.AST, ast.AST]) -> tuple[str, ast.AST] | None:
    """The key that ``PARAMS.key`` or ``PARAMS["key"]`` reads, and the whole expression."""
    parent = parents.get(use)
    if isinstance(parent, ast.Attribute):
        return parent.attr, parent
    if isinstance(parent, ast.Subscript) and isinstance(parent.slice, ast.Constant):
        return str(parent.slice.value), parent
    return None


def decorated(expression: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> tuple[ast.Call, ast.AST] | None:
    """The decorator `parameterize(**expression)`, with nothing else in it, and its function."""
    keyword = parents.get(expression)
    call = parents.get(keyword) if isinstance(keyword, ast.keyword) and keyword.arg is None else None
    if not isinstance(call, ast.Call) or call.args or len(call.keywords) != 1 or _last(call.func) != "parameterize":
        return None
    function = parents.get(call)
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or call not in function.decorator_list:
        return None
    return call, function


def only_harmless_beside(call: ast.Call, function: ast.AST) -> bool:
    """Whether the function's other decorators leave alone what it takes."""
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    return all(_first(other) in _HARMLESS for other in function.decorator_list if other is not call)


def _is_flowerpower(name: str | None) -> bool:
    return (name or "").partition(".")[0] in {"flowerpower", "flowerpower_mqtt", "flowerpower_io"}


def _read(value: ast.expr, names: set[str]) -> tuple[str, bool] | None:
    """What ``Config.load(…).pipeline.h_params`` reads; None for any other expression."""
    parts: list[str] = []
    while isinstance(value, ast.Attribute | ast.Subscript):
        if isinstance(value, ast.Attribute):
            parts.insert(0, value.attr)
        elif isinstance(value.slice, ast.Constant):
            parts.insert(0, str(value.slice.value))
        value = value.value
    if not isinstance(value, ast.Call) or _first(value.func) not in names:
        return None
    if parts[:1] == ["pipeline_params"]:
        return "params", True
    return _READS.get(tuple(parts), ("", False))


def _first(node: ast.AST) -> str:
    """The name that an expression begins with."""
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def literal(value: Any) -> str:
    """A value as it is written in Python."""
    return repr(value)


def is_writable(value: Any) -> bool:
    """Whether a value can be written in Python without an import, and means the same there."""
    if isinstance(value, Mapping):
        return all(is_writable(item) for item in value.values())
    if isinstance(value, list):
        return all(is_writable(item) for item in value)
    return type(value) in {str, int, float, bool, type(None)}
