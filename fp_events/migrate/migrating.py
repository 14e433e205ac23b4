"""A FlowerPower project to one of this program: read, translate, write."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path as LocalPath
from typing import Final

from fp_events.domain.errors import StorageError, UsageError

from .blocks import New
from .hooks_folder import message_hook
from .layouts import OldProject, find
from .modules import Module
from .mqtt_files import built_in, plugin_file
from .pipeline_file import PipelineFile
from .project_file import project_file
from .reading import MIGRATED
from .report import Judge, Kind, Migration
from .rewriting import instead_of
from .writing import document

#: Folders that hold nothing of the project's own.
_NOT_COPIED: Final = frozenset({"__pycache__", "node_modules", "venv", "env", "dist", "build", "site-packages"})
#: Bytes; a larger file is told of, not copied.
_LARGEST: Final = 100 * 1024**2
_RETRIES: Final = (
    "FlowerPower's releases try 3 times more where nothing is said, its guide says 0, and so it is here; "
    "write `run: {max_retries: 3, retry_delay: 1, jitter_factor: 0.1}` in conf/project.yml for the former"
)
_IGNORED: Final = ".fp-events/\n__pycache__/\n"


def plan(source: LocalPath, target: LocalPath | None, judge: Judge, *, mqtt_config: str | None = None) -> Migration:
    """Read the project in `source` and translate it; nothing is written.

    `target` defaults to a folder beside it. Raises UsageError where there is no project, or one of this program, or
    where `target` cannot be its place; ConfigError for what cannot be parsed, StorageError for what cannot be read.
    """
    source = source.resolve()
    target = source.with_name(f"{source.name}-fp-events") if target is None else target.absolute()
    found = find(source, mqtt_config)
    _check_target(source, target)
    migration = Migration(source=source, target=target, layout=found.layout)
    _translate(found, migration, judge)
    _copies(found, migration)
    return migration


def write(migration: Migration) -> list[str]:
    """Write the new project; the files made. Raises StorageError."""
    made = []
    for name, text in migration.texts.items():
        path = migration.target / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = 0o600 if name in migration.private else 0o666
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise StorageError(f"it cannot be written: {error.strerror}", where=str(path)) from error
        made.append(name)
    for name, old in migration.copies.items():
        path = migration.target / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(migration.source / old, path)
        except OSError as error:
            raise StorageError(f"it cannot be copied: {error.strerror}", where=str(error.filename or path)) from error
        made.append(name)
    return sorted(made)


def _check_target(source: LocalPath, target: LocalPath) -> None:
    if target.resolve().is_relative_to(source):
        raise UsageError(f"{target} is inside the old project", mend="name a folder beside it with --output")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already", mend="name a new folder with --output, or remove it")


def _translate(found: OldProject, migration: Migration, judge: Judge) -> None:
    project = project_file(found, migration, judge)
    files: dict[str, PipelineFile] = {}
    local = {path.stem for path in (found.root / "pipelines").glob("*.py")}
    local -= {path.stem for path in found.root.glob("*.py")}
    for pipeline in list(found.pipelines.values()):
        if pipeline.module is None:
            assert pipeline.file is not None
            file_name = f"pipelines/{pipeline.old_name.replace('.', '/')}.py"
            note = f"there is no module {file_name}, and without one it is no pipeline"
            migration.tell(Kind.TODO, pipeline.file.name, pipeline.old_name, note=note)
            continue
        if pipeline.name != pipeline.old_name:
            where = pipeline.file.name if pipeline.file else pipeline.module
            note = "a pipeline is one module right below `pipelines/`"
            migration.tell(Kind.CHANGED, where, "pipeline", pipeline.old_name, pipeline.name, note)
        file = files[pipeline.name] = PipelineFile(found, pipeline, migration, judge)
        done = file.translate(local)
        migration.texts[f"pipelines/{pipeline.name}.py"] = done.text
        if pipeline.module.count("/") > 1:
            _moved(f"pipelines/{pipeline.name}.py", done.text, migration)
    news = {name: file.new for name, file in files.items()}
    modules = {name: file.module for name, file in files.items()}
    plugin_file(found, project, news, modules, migration)
    built_in(found, project, news, modules, migration)
    if found.mqtt_plugin is None:
        # flowerpower-mqtt knows no hooks.
        for name, new in news.items():
            message_hook(found, found.pipelines[name], new, migration)
    retries = [file.new for file in files.values() if file.new.get(("run", "max_retries")) is None]
    if retries:
        migration.tell(Kind.MEANING, "conf/pipelines", "run.max_retries", "", "run.max_retries: 0", _RETRIES)
    _texts(project, files, migration)


def _moved(file: str, text: str, migration: Migration) -> None:
    """Tell where a module that is in another folder now reckons from its own place."""
    for number, line in enumerate(text.splitlines(), 1):
        if "__file__" in line or line.startswith("from ."):
            note = "the module is in another folder now: mend the path"
            migration.tell(Kind.TODO, f"{file}:{number}", "path", line.strip(), note=note)


def _texts(project: New, files: dict[str, PipelineFile], migration: Migration) -> None:
    head = f"{migration.name}, {MIGRATED}; every key is in fp-events' docs/configuration.md."
    migration.texts["conf/project.yml"] = document(project.data, head)
    for name, file in files.items():
        head = f"Pipeline {name}, {MIGRATED}."
        if file.new.data:
            migration.texts[file.new.file] = document(file.new.data, head)
        for environment, new in file.overlays.items():
            if new.data:
                head = f"What is different with FP_EVENTS_ENV={environment}."
                migration.texts[new.file] = document(new.data, head)


def _copies(found: OldProject, migration: Migration) -> None:
    """Everything else, so that the new project stands alone: hooks, helpers, data."""
    modules = {pipeline.module for pipeline in found.pipelines.values()}
    for path in _files(found.root):
        name = path.relative_to(found.root).as_posix()
        if name in modules or name in found.files or name in migration.texts:
            continue
        if path.stat().st_size > _LARGEST:
            migration.tell(Kind.TODO, name, "file", "", note="it is larger than 100 MiB: move it, or link to it")
            continue
        migration.copies[name] = name
        if path.suffix == ".py":
            _imports(path, name, migration)
    ignored = found.root / ".gitignore"
    text = ignored.read_text(encoding="utf-8", errors="replace") if ignored.is_file() else ""
    private = "".join(f"{name}\n" for name in sorted(migration.private))
    migration.copies.pop(".gitignore", None)
    migration.texts[".gitignore"] = f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{_IGNORED}{private}"
    if (found.root / ".env").is_file():
        note = "variables are taken from the environment alone: export them before `fp-events serve`"
        migration.tell(Kind.TODO, ".env", "file", "", note=note)


def _imports(path: LocalPath, name: str, migration: Migration) -> None:
    """Tell of FlowerPower in code that is no pipeline: scripts, hooks, tests."""
    module = Module(name, path.read_text(encoding="utf-8", errors="replace"))
    for node, imported in module.imports():
        migration.tell(Kind.TODO, module.where(node), "import", f"import of {imported}", "", instead_of(imported))


def _files(folder: LocalPath) -> Iterator[LocalPath]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            # A link to a folder may lead back to where it is.
            left_out = path.name in _NOT_COPIED or path.is_symlink() or (path / "pyvenv.cfg").is_file()
            yield from () if left_out else _files(path)
        elif path.is_file():
            yield path
