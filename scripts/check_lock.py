"""Do the lock files still hold what pyproject.toml asks for, with hashes and without addresses?"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


def findings() -> Iterator[str]:
    """One sentence for each thing that is wrong."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    build = [line for line in (ROOT / "requirements-build.in").read_text().splitlines() if not line.startswith("#")]
    runtime = project["dependencies"]
    asked = {
        "requirements.txt": runtime,
        "requirements-dev.txt": runtime + project["optional-dependencies"]["dev"],
        "requirements-build.txt": build,
    }
    versions: dict[str, str] = {}
    for name, wanted in asked.items():
        text = (ROOT / name).read_text()
        if "://" in text or re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE):
            yield f"{name}: holds an address or an option of pip"
        locked = dict(_entries(text))
        yield from _unsatisfied(name, wanted, locked)
        for package, version in locked.items():
            if versions.setdefault(package, version) != version:
                yield f"{name}: {package} {version} here, {versions[package]} in another lock file"


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
        pinned = PINNED.match(entry)
        if pinned and "--hash=sha256:" in entry:
            yield canonicalize_name(pinned[1]), pinned[2]


def _unsatisfied(name: str, wanted: list[str], locked: dict[str, str]) -> Iterator[str]:
    for requirement in map(Requirement, wanted):
        version = locked.get(canonicalize_name(requirement.name))
        if version is None:
            yield f"{name}: {requirement.name} is missing, or has no hash"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{name}: {requirement.name} is locked to {version}, pyproject.toml asks for {requirement.specifier}"


if __name__ == "__main__":
    found = list(findings())
    for finding in found:
        sys.stderr.write(f"{finding}; run `make lock`\n")
    sys.exit(1 if found else 0)
