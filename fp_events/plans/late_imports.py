"""Modules of the project that a function imports only when it runs.

Nothing of them is loaded when a plan is compiled, so it is their source that counts, and that of what they import.
"""

from __future__ import annotations

import ast
import dis
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Final

from .loading import Generation, public_name

_IMPORT: Final = dis.opmap["IMPORT_NAME"]


def late_imports(generation: Generation, module: str, code: CodeType) -> list[str]:
    """``name digest`` for each module that `code`, of `module`, imports, and for each that these import; sorted."""
    waiting = [*_names_in_code(code, public_name(module))]
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in found or not name or not generation.is_local(name):
            continue
        file = generation.source(name)
        if file is None:
            continue
        # A reload looks at it too.
        generation.remember(str(file))
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            # The function will say so when it runs.
            found[name] = "unreadable"
            continue
        found[name] = hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()
        waiting += _names_in_source(tree, name if _is_package(file) else name.rpartition(".")[0])
    return [f"{name} {digest}" for name, digest in sorted(found.items())]


def _names_in_code(code: CodeType, module: str) -> Iterator[str]:
    waiting = [code]
    while waiting:
        one = waiting.pop()
        waiting += [const for const in one.co_consts if isinstance(const, CodeType)]
        if _IMPORT not in one.co_code[::2]:
            continue
        steps = [step for step in dis.get_instructions(one) if step.opname not in ("CACHE", "EXTENDED_ARG", "NOP")]
        for before, asked, step in zip(steps, steps[1:], steps[2:], strict=False):
            if step.opcode == _IMPORT:
                level = before.argval if isinstance(before.argval, int) else 0
                yield from _absolute(step.argval, asked.argval or (), level, module.rpartition(".")[0])


def _names_in_source(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _absolute(alias.name, (), 0, package)
        elif isinstance(node, ast.ImportFrom):
            yield from _absolute(node.module or "", [alias.name for alias in node.names], node.level, package)


def _absolute(name: str, items: object, level: int, package: str) -> Iterator[str]:
    """The modules that one import may name: the packages above it, itself, and its items."""
    if level:
        parts = package.split(".")
        name = ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    if isinstance(items, list | tuple):
        yield from (f"{name}.{item}" for item in items)


def _is_package(file: Path) -> bool:
    return file.name == "__init__.py"
