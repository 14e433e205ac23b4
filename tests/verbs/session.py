"""Statements of Python as a prompt answers them.

``python -m tests.verbs.session`` reads a JSON list of statements and prints the list of what each printed.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from typing import Any


def answers(statements: list[str]) -> list[str]:
    """What each prints, in one namespace."""
    names: dict[str, Any] = {}
    found = []
    for statement in statements:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(ast.Interactive(ast.parse(statement).body), "<prompt>", "single"), names)
        found.append(output.getvalue())
    return found


if __name__ == "__main__":
    print(json.dumps(answers(json.load(sys.stdin))))
