"""Changes to a module's text by its syntax tree: lines go, expressions are written otherwise, all else stays."""

from __future__ import annotations

import ast

from .modules import Module


class Edits:
    """Changes that are collected, then made at once."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._lines = module.text.encode().splitlines(keepends=True)
        #: Start and end as (line, byte), and what stands there then.
        self._edits: list[tuple[tuple[int, int], tuple[int, int], str]] = []
        self._gone: set[ast.AST] = set()

    def remove(self, node: ast.stmt | ast.Call) -> None:
        """Take away a statement, or a decorator, with its lines."""
        self._gone.add(node)
        if isinstance(node, ast.stmt) and not self._is_alone(node):
            self._put(node, "pass")
            return
        first, last = node.lineno, node.end_lineno or node.lineno
        if isinstance(node, ast.Call) and not self._lines[first - 1].lstrip().startswith(b"@"):
            first -= 1
        if first > 1 and not self._lines[first - 2].strip():
            # One gap, not two.
            while last < len(self._lines) and not self._lines[last].strip():
                last += 1
        self._edits.append(((first, 0), (last + 1, 0), ""))

    def replace(self, node: ast.stmt | ast.expr, text: str) -> None:
        """Write something else in the place of a statement or an expression."""
        if isinstance(node, ast.stmt):
            self._gone.add(node)
        self._put(node, text)

    def is_gone(self, node: ast.AST) -> bool:
        """Whether a piece of the tree is inside something that was removed or replaced."""
        while node in self._module.parents:
            if node in self._gone:
                return True
            node = self._module.parents[node]
        return False

    def result(self) -> str | None:
        """The new text; None where it is no Python any more."""
        starts = [0]
        for line in self._lines:
            starts.append(starts[-1] + len(line))
        content = self._module.text.encode()
        for (first, column), (last, end), text in sorted(self._edits, reverse=True):
            start = starts[min(first - 1, len(starts) - 1)] + column
            stop = starts[min(last - 1, len(starts) - 1)] + end
            content = content[:start] + text.encode() + content[stop:]
        made = content.decode()
        try:
            ast.parse(made)
        except SyntaxError:
            return None
        return made

    def _put(self, node: ast.stmt | ast.expr, text: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        self._edits.append(((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset), text))

    def _is_alone(self, node: ast.stmt) -> bool:
        """Whether a statement is the module's own, with no other on its lines."""
        last = self._lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset :].lstrip()
        return isinstance(self._module.parents[node], ast.Module) and node.col_offset == 0 and not last.startswith(b";")
