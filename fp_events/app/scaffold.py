"""Files that `init` and `new` write, and that `delete` removes. Nothing that exists is ever overwritten."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from fp_events.domain.errors import StorageError, UsageError


def project_name(folder: Path) -> str:
    """The folder's name as a project's, which becomes part of topics: of a-z, 0-9, '_' and '-'."""
    return re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-")[:64] or "project"


def init_project(folder: Path, *, force: bool, name: str | None = None) -> Sequence[Path]:
    """Write a project that runs at once; the files made. With `force` a folder may hold files, which stay.

    `name`: default: the folder's.
    """
    name = name or project_name(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", mend="name a folder that does not exist yet")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UsageError(
            f"{folder.resolve()} is not empty", mend="name a new folder, or add what is missing with --force"
        )
    templates = _templates() / "init"
    return [path for path in (_write(folder, part, template, name) for part, template in _walk(templates)) if path]


def new_pipeline(root: Path, name: str) -> Sequence[Path]:
    """Write a module and its YAML that work at once; the files made."""
    check_name(name)
    paths = pipeline_files(root, name)
    for path in paths:
        if path.exists():
            raise UsageError(f"{path.relative_to(root)} exists already", mend="choose another name")
    templates = _templates() / "new"
    for path in paths:
        _create(path, _render(templates / f"pipeline{path.suffix}.tmpl", name))
    return paths


def new_hook(root: Path, name: str) -> Path:
    """Write a module of hooks that work at once; the file made."""
    check_name(name, what="module")
    path = root / "hooks" / f"{name}.py"
    if path.exists():
        raise UsageError(f"{path.relative_to(root)} exists already", mend="choose another name")
    _create(path, _render(_templates() / "new" / "hook.py.tmpl", name))
    return path


def delete_pipeline(root: Path, name: str) -> Sequence[Path]:
    """Remove a pipeline's files; the files removed."""
    removed = [path for path in pipeline_files(root, name) if path.is_file()]
    for path in removed:
        path.unlink()
    return removed


def pipeline_files(root: Path, name: str) -> tuple[Path, Path]:
    """Where a pipeline's module and YAML are."""
    return root / "pipelines" / f"{name}.py", root / "conf" / "pipelines" / f"{name}.yml"


def pipeline_names(root: Path) -> list[str]:
    """Names of the pipelines that have a YAML file."""
    return sorted(path.stem for path in (root / "conf" / "pipelines").glob("*.yml"))


def check_name(name: str, *, what: str = "pipeline") -> None:
    """Raise UsageError unless `name` can be a module's; `what` it is the name of."""
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise UsageError(
            f"'{name}' is no name for a {what}",
            mend="use letters, digits and '_', and begin with a letter: it becomes a Python module",
        )


def _templates() -> Traversable:
    return resources.files("fp_events.app") / "templates"


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            found.extend(_walk(entry, f"{prefix}{entry.name}/"))
        elif entry.name.endswith(".tmpl"):
            # A template called .gitignore would hide its neighbours from the build.
            name = ".gitignore" if entry.name == "gitignore.tmpl" else entry.name.removesuffix(".tmpl")
            found.append((prefix + name, entry))
    return found


def _write(folder: Path, part: str, template: Traversable, name: str) -> Path | None:
    path = folder / part
    if path.exists():
        return None
    _create(path, _render(template, name))
    return path


def _render(template: Traversable, name: str) -> str:
    return template.read_text(encoding="utf-8").replace("{{name}}", name)


def _create(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(f"it cannot be written: {error.strerror}", where=str(path)) from error
