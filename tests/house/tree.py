"""The files of the project, as version control knows them."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


#: What is never tracked, for a copy of the project without its history.
_MADE = {".git", ".venv", ".fp-events", ".fp-events-demo", ".hypothesis", "build", "dist", "secrets", "__pycache__"}


def tracked(*patterns: str) -> list[Path]:
    """Paths of tracked files, all or those that match; the project is not empty, so neither is the answer."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if not _made(path.relative_to(ROOT))]
    found = [
        ROOT / name
        for name in listed
        if (ROOT / name).is_file() and (not patterns or any(fnmatch(name, pattern) for pattern in patterns))
    ]
    assert found
    return found


def _made(path: Path) -> bool:
    return any(part in _MADE or part.endswith(("_cache", ".egg-info")) for part in path.parts)


def texts(*patterns: str) -> dict[str, str]:
    """Tracked text files by path relative to the root."""
    contents = {str(path.relative_to(ROOT)): path.read_bytes() for path in tracked(*patterns)}
    return {name: content.decode() for name, content in contents.items() if b"\0" not in content}
