"""``hooks/``: functions that made configuration of a message, which FlowerPower was told of on the command line."""

from __future__ import annotations

from pathlib import Path as LocalPath
from typing import Final

from .blocks import New
from .layouts import OldPipeline, OldProject
from .modules import Module, arguments_of
from .report import Kind, Migration

_TAKES: Final = ["payload", "topic"]
_WRAPPER: Final = '''\
"""The hook of {pipeline}'s messages: FlowerPower's returned configuration, here an object with `config` does."""

from types import SimpleNamespace
from typing import Any

from {module} import {function}


def configure(message: Any) -> SimpleNamespace:
    """The configuration for one message, whose payload comes as bytes."""
    return SimpleNamespace(config={function}(message.payload, message.topic) or {{}})
'''


def message_hook(found: OldProject, pipeline: OldPipeline, new: New, migration: Migration) -> None:
    """Have the only hook of a pipeline's messages called.

    Several are told, and those of a pipeline without triggers.
    """
    hooks = [one for path in _modules(found, pipeline) for one in _functions(found.root, path)]
    if not hooks:
        return
    names = ", ".join(f"{module}:{function}" for module, function, _ in hooks)
    module, function, where = hooks[0]
    wrapper = f"hooks.{pipeline.name}_message:configure"
    fits = module.replace(".", "").isidentifier() and new.takes(("hooks", "message"), wrapper)
    if len(hooks) > 1 or new.get(("triggers",)) is None or not fits:
        note = (
            "which hook was called was said on the command line: write `hooks: {message: …}` with a function that "
            "returns an object with `config`"
        )
        migration.tell(Kind.TODO, where, "config_hook", names, note=note)
        return
    file = f"hooks/{pipeline.name}_message.py"
    migration.texts[file] = _WRAPPER.format(pipeline=pipeline.name, module=module, function=function)
    new.set(("hooks", "message"), wrapper)
    note = "configuration is returned as an attribute `config`; what is returned by name are inputs here"
    migration.tell(Kind.CHANGED, where, "config_hook", names, f"{new.file}: hooks.message", note)


def _modules(found: OldProject, pipeline: OldPipeline) -> list[LocalPath]:
    return sorted((found.root / "hooks" / pipeline.old_name.replace(".", "/")).glob("*.py"))


def _functions(root: LocalPath, path: LocalPath) -> list[tuple[str, str, str]]:
    """Module, function and place of those that take a payload and a topic."""
    name = path.relative_to(root).as_posix()
    module = Module(name, path.read_text(encoding="utf-8", errors="replace"))
    dotted = name.removesuffix(".py").replace("/", ".")
    return [
        (dotted, function.name, module.where(function))
        for functions in module.functions.values()
        for function in functions
        if arguments_of(function) == _TAKES
    ]
