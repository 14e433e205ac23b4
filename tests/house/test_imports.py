"""Who imports what."""

from __future__ import annotations

import ast
import fnmatch
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import ROOT, tracked

#: The only places that may name a library; several with a space between them.
ROOMS = {
    "aiomqtt": "fp_events/transports/*aiomqtt*",
    "paho": "fp_events/transports/*aiomqtt*",
    "hamilton": "fp_events/plans/* fp_events/adapters/*",
    "hamilton_sdk": "fp_events/adapters/*",
    "hamilton_ui": "fp_events/adapters/*",
    "mlflow": "fp_events/adapters/*",
    "opentelemetry": "fp_events/adapters/*",
    "sqlite3": "fp_events/ledgers/sqlite*",
    "amqtt": "fp_events/brokers/*",
    "typer": "fp_events/cli/*",
}

#: Costly, or optional: loaded where they are first used.
HEAVY = {"hamilton", "pandas", "numpy", "amqtt", "ray", "dask", "opentelemetry", "mlflow", "hamilton_sdk"}

LOADED = (
    "import json, sys; before = set(sys.modules); import {module}; print(json.dumps(sorted(set(sys.modules) - before)))"
)


def loaded_by(module: str) -> set[str]:
    """Top-level names of everything that a fresh interpreter loads for `import module`."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT,
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level name of every import in a file, those by `import_module` included."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) and node.args:
            named = node.args[0]
            if isinstance(named, ast.JoinedStr):
                named = named.values[0]
            if isinstance(named, ast.Constant):
                yield node.lineno, str(named.value).partition(".")[0]


@pytest.mark.parametrize("module", ["fp_events", "fp_events.domain.ports", "fp_events.domain.pipeline"])
def test_package_and_domain_need_the_standard_library_alone(module: str) -> None:
    """Importing them loads nothing that has to be installed."""
    assert set() == loaded_by(module) - sys.stdlib_module_names - {"fp_events"}


@pytest.mark.parametrize("module", ["fp_events.cli.main", "fp_events.app", "fp_events.plans", "fp_events.runtime"])
def test_heavy_libraries_wait_until_they_are_used(module: str) -> None:
    """`fp-events --help` and a check of the configuration do not pay for Hamilton and pandas."""
    assert set() == loaded_by(module) & HEAVY


def test_libraries_stay_in_their_rooms() -> None:
    """Each is named in one place, where it could be exchanged."""
    strays = [
        f"{path.relative_to(ROOT)}:{line}: {library}"
        for path in tracked("fp_events/*.py")
        for line, library in imports_of(path)
        if library in ROOMS
        and not any(fnmatch.fnmatch(str(path.relative_to(ROOT)), room) for room in ROOMS[library].split())
        and not str(path.relative_to(ROOT)).startswith("fp_events/app/templates/")
    ]
    assert [] == strays


def test_rooms_are_not_empty() -> None:
    """The rule above looks at something: every library is found in its room."""
    named = {library for path in tracked("fp_events/*.py") for _, library in imports_of(path)}
    assert set() == set(ROOMS) - named


def test_layers_hold() -> None:
    """The contracts in pyproject.toml are kept."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert 0 == done.returncode, done.stdout
