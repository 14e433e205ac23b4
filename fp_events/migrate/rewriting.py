"""A module's text without FlowerPower, as far as that is certain."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .edits import Edits
from .modules import Module, Reading, decorated, group_of, is_writable, literal, only_harmless_beside
from .report import Kind, Migration

#: Module of FlowerPower -> what is there in its stead.
_INSTEAD: Final = (
    ("flowerpower_mqtt", "messages run pipelines through `triggers`; `fp-events serve` is the listener"),
    ("flowerpower.plugins.mqtt", "messages run pipelines through `triggers`; `fp-events serve` is the listener"),
    ("flowerpower.mqtt", "messages run pipelines through `triggers`; `fp-events serve` is the listener"),
    ("flowerpower.job_queue", "`fp-events trigger`, or `Project.submit` of fp_events, starts a run in the background"),
    ("flowerpower.plugins.io", "use Hamilton's loaders and savers, or pandas"),
    ("flowerpower_io", "use Hamilton's loaders and savers, or pandas"),
    ("flowerpower.fs", "use fsspec"),
    ("flowerpower.cfg", "give the function a parameter; `params` and `run.inputs` fill it by its name"),
    ("flowerpower", "`from fp_events import Project` has `run`, `run_async` and `submit`"),
)
_UNWRITABLE: Final = "a variable or a date among the values cannot stand in the module: give functions parameters"


def instead_of(module: str) -> str:
    """What there is in place of a module of FlowerPower."""
    return next((said for prefix, said in _INSTEAD if f"{module}.".startswith(f"{prefix}.")), "")


@dataclass(slots=True)
class Rewritten:
    """What became of a module."""

    text: str
    #: Parameter -> value, out of blocks that were one function's.
    flat: dict[str, Any] = field(default_factory=dict)
    #: Keys of `params` that stand elsewhere now.
    moved: set[str] = field(default_factory=set)


class Rewriting:
    """One module on its way."""

    def __init__(
        self, module: Module, settings: Mapping[str, Mapping[str, Any]], migration: Migration, yaml_file: str
    ) -> None:
        self._module = module
        #: ``params``, ``inputs`` and ``config`` of the pipeline.
        self._settings = settings
        self._migration = migration
        self._yaml_file = yaml_file
        self._done = Rewritten(module.text)
        self._edits = Edits(module)

    def run(self, local: Collection[str] = ()) -> Rewritten:
        """The new text; `local` are modules in ``pipelines/``, which FlowerPower lets import each other by name."""
        for reading in self._module.readings():
            self._reading(reading)
        self._flowerpower()
        self._siblings(local)
        text = self._edits.result()
        if text is None:
            note = "FlowerPower's lines could not be taken out of it: it is copied as it was"
            self._tell(Kind.TODO, self._module.file, "module", "", "", note)
            return Rewritten(self._module.text)
        self._done.text = text
        return self._done

    def _reading(self, reading: Reading) -> None:
        where = self._module.where(reading.statement)
        old = ast.get_source_segment(self._module.text, reading.statement) or reading.name
        if not reading.uses:
            self._edits.remove(reading.statement)
            self._tell(Kind.CHANGED, where, reading.name, old, "", "nothing used it")
            return
        if not reading.block:
            note = "give a function a parameter of the value's name; `params` and `run.inputs` fill it"
            self._tell(Kind.TODO, where, reading.name, old, "", note)
            return
        values = self._settings.get(reading.block, {})
        if reading.hamilton:
            self._parameterized(reading, values, where, old)
        else:
            self._in_the_module(reading, dict(values), where, old)

    def _parameterized(self, reading: Reading, params: Mapping[str, Any], where: str, old: str) -> None:
        flat = self._flattened(reading, params)
        kept: dict[str, Any] = {}
        for use in reading.uses:
            group = group_of(use, self._module.parents)
            if group is None or group[0] not in params:
                kept = dict(params)
            elif group[0] not in flat:
                kept[group[0]] = params[group[0]]
        for key, calls in flat.items():
            self._done.flat |= params[key]
            self._done.moved.add(key)
            for call in calls:
                self._edits.remove(call)
                new = ", ".join(f"params.{name}: {value}" for name, value in params[key].items())
                note = "a parameter is filled by its name"
                self._tell(Kind.CHANGED, self._module.where(call), f"params.{key}", params[key], new, note)
        if kept and not is_writable(kept):
            self._tell(Kind.TODO, where, reading.name, old, "", _UNWRITABLE)
        elif kept:
            self._done.moved |= {key for key in kept if not self._module.takes(key)}
            inside = {key: {key: value} for key, value in kept.items()}
            lines = [f"    {literal(key)}: {self._hamilton(value, params)}," for key, value in inside.items()]
            self._literal(reading, lines, kept, where, old, functions=True)
        else:
            self._edits.remove(reading.statement)
            self._tell(Kind.CHANGED, where, reading.name, old, "", "nothing uses it any more")

    def _flattened(self, reading: Reading, params: Mapping[str, Any]) -> dict[str, list[ast.Call]]:
        """Key of `params` -> the decorators that its values make needless."""
        found: dict[str, list[ast.Call]] = {}
        refused: set[str] = set()
        for use in reading.uses:
            group = group_of(use, self._module.parents)
            if group is None:
                return {}
            key, expression = group
            place = decorated(expression, self._module.parents)
            if place is not None and self._one_meaning(key, place, params):
                found.setdefault(key, []).append(place[0])
            else:
                refused.add(key)
        # `config.when` gives a node several functions: all of them are decorated, or none is undone.
        whole = {key for key, calls in found.items() if len(calls) == len(self._module.functions[key])}
        return {key: calls for key, calls in found.items() if key in whole - refused}

    def _one_meaning(self, key: str, place: tuple[ast.Call, ast.AST], params: Mapping[str, Any]) -> bool:
        """Whether the values of a key are parameters of its function, and of no other."""
        module, values = self._module, params.get(key)
        call, function = place
        base = getattr(function, "name", "").partition("__")[0]
        if base != key or not isinstance(values, Mapping) or not only_harmless_beside(call, function):
            return False
        taken = {*self._settings.get("inputs", {}), *self._settings.get("config", {})}
        for name, value in values.items():
            lends = isinstance(value, str) and value in params
            if lends or module.takers(name) != [key] or name in module.functions or name in taken:
                return False
            if name in params and params[name] != value:
                return False
        return True

    def _hamilton(self, value: Mapping[str, Any], params: Mapping[str, Any]) -> str:
        """A key's values as FlowerPower made them: `source` for the name of another key, else `value`."""
        items = []
        for key, inside in value.items():
            if isinstance(inside, Mapping):
                entries = ", ".join(f"{literal(name)}: {_wrapped(item, params)}" for name, item in inside.items())
                items.append(f"{literal(key)}: {{{entries}}}")
            else:
                lent = isinstance(inside, str) and inside in params
                items.append(f"{literal(key)}: {_wrapped(inside, params) if lent else literal(inside)}")
        return f"{{{', '.join(items)}}}"

    def _in_the_module(self, reading: Reading, values: dict[str, Any], where: str, old: str) -> None:
        if not is_writable(values):
            self._tell(Kind.TODO, where, reading.name, old, "", _UNWRITABLE)
            return
        lines = [f"    {literal(key)}: {literal(value)}," for key, value in values.items()]
        self._literal(reading, lines, values, where, old, functions=False)

    def _literal(
        self, reading: Reading, lines: list[str], values: Mapping[str, Any], where: str, old: str, *, functions: bool
    ) -> None:
        """Put values into the module, in place of the reading."""
        head = ["from hamilton.function_modifiers import source, value", ""] if functions else []
        text = "\n".join(
            [*head, f"# What {self._yaml_file} had, which was read here.", f"{reading.name} = {{", *lines, "}"]
        )
        self._edits.replace(reading.statement, text)
        for use in reading.uses:
            self._subscripts(use, values)
        note = "the values stand in the module now; to keep them in YAML, give functions parameters of their names"
        self._tell(Kind.TODO, where, reading.name, old, f"{reading.name} = {{…}}", note)

    def _subscripts(self, use: ast.Name, values: Any) -> None:
        """``PARAMS.a.b`` as ``PARAMS["a"]["b"]``, as far as the values are blocks that have such keys."""
        node: ast.expr = use
        keys: list[str] = []
        parent = self._module.parents.get(node)
        while isinstance(parent, ast.Attribute) and isinstance(values, Mapping) and parent.attr in values:
            keys.append(parent.attr)
            values = values[parent.attr]
            node, parent = parent, self._module.parents.get(parent)
        if keys:
            self._edits.replace(node, use.id + "".join(f"[{literal(key)}]" for key in keys))

    def _flowerpower(self) -> None:
        """Remove imports of which nothing is used any more, and tell of the others."""
        self._helpers()
        for node, name in self._module.imports():
            used = [alias for alias in node.names if self._is_used(alias)]
            if not used:
                self._edits.remove(node)
                continue
            text = ast.get_source_segment(self._module.text, node) or name
            self._tell(Kind.TODO, self._module.where(node), "import", text, "", instead_of(name))

    def _helpers(self) -> None:
        """Remove the helper of newer templates that finds the project's folder, where only the reading called it."""
        for statement in self._module.tree.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "_resolve_base_dir":
                uses = self._module.uses(statement.name)
                if uses and all(self._edits.is_gone(use) for use in uses):
                    self._edits.remove(statement)

    def _is_used(self, alias: ast.alias) -> bool:
        name = (alias.asname or alias.name).partition(".")[0]
        return any(not self._edits.is_gone(use) for use in self._module.uses(name))

    def _siblings(self, local: Collection[str]) -> None:
        for node in ast.walk(self._module.tree):
            if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] in local:
                names = ", ".join(ast.unparse(alias) for alias in node.names)
                self._sibling(node, f"from pipelines.{node.module} import {names}")
            elif isinstance(node, ast.Import) and len(node.names) == 1 and node.names[0].name in local:
                self._sibling(node, f"from pipelines import {ast.unparse(node.names[0])}")

    def _sibling(self, node: ast.Import | ast.ImportFrom, text: str) -> None:
        old = ast.get_source_segment(self._module.text, node) or ""
        self._edits.replace(node, text)
        note = "modules of `pipelines/` import each other through that folder"
        self._tell(Kind.CHANGED, self._module.where(node), "import", old, text, note)

    def _tell(self, kind: Kind, where: str, key: str, old: object, new: str, note: str) -> None:
        self._migration.tell(kind, where, key, old, new, note)


def _wrapped(item: Any, params: Mapping[str, Any]) -> str:
    return f"source({literal(item)})" if isinstance(item, str) and item in params else f"value({literal(item)})"
