"""The sample project: in an installed package its copy, in a checkout the repository's own folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import fp_events
from fp_events.domain.errors import StorageError

_PARTS = ("conf", "pipelines")


def sample_folder() -> Path:
    """Where the sample project's `conf` and `pipelines` are. Raises StorageError where they are missing."""
    package = Path(fp_events.__file__).parent
    for folder in (package / "_sample", package.parent):
        if all((folder / part).is_dir() for part in _PARTS) and (folder / "conf" / "project.yml").is_file():
            return folder
    raise StorageError("the sample project is missing", where=str(package / "_sample"), mend="install fp-events again")


def copy_sample(target: Path) -> None:
    """Copy the sample project; files that are there already stay as they are."""
    source = sample_folder()
    for part in _PARTS:
        for path in sorted((source / part).rglob("*")):
            copy = target / path.relative_to(source)
            if path.suffix in {".yml", ".py"} and not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
