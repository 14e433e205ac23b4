"""Hamilton's decorators, as it exports them, and which of them a module uses."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path

from fp_events.plans.hamilton_api import hamilton

#: Exports that are no class of Hamilton's decorators and yet stand above functions.
_OTHERS = ("hamilton_exclude", "load_from", "mutate", "save_to", "schema")
#: In plugins for libraries that the tests have.
_PLUGINS = ("with_columns",)
#: `config` is one class with four ways to use it.
_WAYS = {"config": ("config.when", "config.when_in", "config.when_not", "config.when_not_in")}
#: Hamilton's own driver cannot build a graph with them.
BROKEN = frozenset({"dynamic_transform", "model"})


@cache
def all_decorators() -> frozenset[str]:
    """Names of all decorators that Hamilton's documentation has."""
    modifiers = hamilton("function_modifiers")
    kind = hamilton("function_modifiers.base").NodeTransformLifecycle
    classes = [name for name, value in vars(modifiers).items() if inspect.isclass(value) and issubclass(value, kind)]
    found = {way for name in classes for way in _WAYS.get(name, (name,))}
    return frozenset({*found, *_PLUGINS, *(name for name in _OTHERS if hasattr(modifiers, name))})


def used_in(file: Path) -> frozenset[str]:
    """The decorators that stand above a function of a file, or are applied to one."""
    text = file.read_text()
    return frozenset(
        name for name in all_decorators() if re.search(rf"^\s*@{re.escape(name)}\b(?!\.when)", text, re.MULTILINE)
    )
