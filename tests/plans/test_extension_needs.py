"""An install without extras has what Hamilton's extensions import."""

import ast
import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("extension", ["pandas", "numpy", "yaml", "pydantic"])
def test_what_an_extension_imports_is_locked_for_users(extension: str) -> None:
    """Hamilton asks for less than its extensions import; without them loaders, savers and columns are not there."""
    spec = importlib.util.find_spec(f"hamilton.plugins.{extension}_extensions")
    assert spec is not None
    assert spec.origin is not None
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    named = [node.module for node in body if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    named += [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    others = {name.partition(".")[0] for name in named} - sys.stdlib_module_names
    locked = set(re.findall(r"(?m)^([a-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8")))
    found = importlib.metadata.packages_distributions()

    missing = {name for name in others if locked.isdisjoint(each.lower().replace("_", "-") for each in found[name])}

    assert set() == missing
