"""Whether files of a project have changed."""

from __future__ import annotations

import os
from pathlib import Path

#: Folders that hold none of a project's own code.
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
_KINDS = (".py", ".yml", ".yaml")


def fingerprint(root: Path) -> frozenset[tuple[str, int, int]]:
    """Path, time of the last change in ns and size of all code and configuration below `root`."""
    found = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _PASSED_OVER]
        for name in files:
            if not name.endswith(_KINDS):
                continue
            path = os.path.join(folder, name)  # noqa: PTH118 (os.walk gives strings; this runs every second)
            try:
                status = os.stat(path)  # noqa: PTH116 (the same)
            except OSError:
                continue  # it has just gone
            found.add((path, status.st_mtime_ns, status.st_size))
    return frozenset(found)
