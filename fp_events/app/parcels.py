"""Pipelines on their way from one project to another: the module, its settings, and what it imports of the project."""

from __future__ import annotations

import ast
import io
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fp_events import filesystems
from fp_events.domain.errors import PipelineNotFound, UsageError

from .scaffold import check_name

#: ``module:function``, as settings name hooks, resources and callbacks.
_NAMED = re.compile(r"\b([A-Za-z_][\w.]*):[A-Za-z_]\w*\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """All files that a pipeline needs."""

    pipeline: str
    #: Path below the project -> content.
    files: Mapping[str, bytes]

    def renamed(self, name: str) -> Parcel:
        """The same pipeline under another name. Raises UsageError for what is none."""
        check_name(name)
        old = re.compile(rf"^((?:conf/(?:env/[^/]+/)?)?pipelines/){re.escape(self.pipeline)}(\.py|\.yml)$")
        files = {old.sub(rf"\g<1>{name}\g<2>", path): content for path, content in self.files.items()}
        return Parcel(pipeline=name, files=files)


def pack(root: Path, pipeline: str) -> Parcel:
    """A pipeline of the project in `root`. Raises PipelineNotFound, and UsageError for a module that is no Python."""
    module = f"pipelines/{pipeline}.py"
    if not (root / module).is_file():
        raise PipelineNotFound(pipeline, names_in(root))
    settings = [f"conf/pipelines/{pipeline}.yml"]
    settings += sorted(path.relative_to(root).as_posix() for path in root.glob(f"conf/env/*/pipelines/{pipeline}.yml"))
    settings = [path for path in settings if (root / path).is_file()]
    wanted = [module]
    for path in settings:
        text = (root / path).read_text(encoding="utf-8-sig")
        wanted += [file for name in _NAMED.findall(text) for file in _module_files(root, name)]
    found: dict[str, bytes] = {path: (root / path).read_bytes() for path in settings}
    while wanted:
        path = wanted.pop()
        if path not in found:
            found[path] = (root / path).read_bytes()
            wanted += _imported(root, path, found[path])
    return Parcel(pipeline=pipeline, files=dict(sorted(found.items())))


def names_in(root: Path) -> list[str]:
    """Names of the pipelines in a project's folder."""
    return sorted(path.stem for path in (root / "pipelines").glob("*.py") if not path.stem.startswith("_"))


_SENT = "say --overwrite, or export to another place"
_TAKEN = "say --overwrite, or import under another --name"


def send(parcel: Parcel, url: str, *, overwrite: bool, mend: str = _SENT) -> Sequence[str]:
    """Write a parcel to a folder, an archive or a URL; where its files are now.

    Raises UsageError where other files of these names are there and `overwrite` is not said; nothing is written then.
    """
    if filesystems.is_remote(url) and url.endswith(".zip"):
        return _send_archive(parcel, url, overwrite=overwrite)
    target = filesystems.Folder(url if filesystems.is_remote(url) else str(Path(url).expanduser().resolve()))
    there = {path for path in parcel.files if target.exists(path)}
    same = {path for path in there if target.read(path) == parcel.files[path]}
    _refuse(sorted(there - same), target.shown, mend, overwrite=overwrite)
    for path, content in parcel.files.items():
        if path not in same:
            target.write(path, content)
    return [f"{target.shown.rstrip('/')}/{path}" for path in parcel.files]


def receive(url: str, pipeline: str | None = None) -> Parcel:
    """A pipeline of the project at `url`; `pipeline` says which, where there are several.

    Raises UsageError, StorageError.
    """
    folder = Path(url).expanduser()
    if folder.is_dir():
        return _chosen(folder.resolve(), pipeline, url)
    with tempfile.TemporaryDirectory(prefix="fp-events-") as home:
        return _chosen(filesystems.take(url, Path(home)).folder, pipeline, filesystems.without_credentials(url))


def unpack(parcel: Parcel, root: Path, *, overwrite: bool) -> Sequence[Path]:
    """Add a pipeline to the project in `root`; its files. Raises UsageError as `send` does."""
    send(parcel, str(root), overwrite=overwrite, mend=_TAKEN)
    return [root / path for path in parcel.files]


def _chosen(root: Path, pipeline: str | None, shown: str) -> Parcel:
    names = names_in(root)
    if pipeline is None and len(names) != 1:
        raise UsageError(
            f"{shown} has {'no pipeline' if not names else 'several pipelines'}",
            mend=f"say which: {', '.join(names)}" if names else "name a project's folder, archive or URL",
        )
    if pipeline is not None and pipeline not in names:
        raise UsageError(
            f"{shown} has no pipeline '{pipeline}'",
            mend=f"it has {', '.join(names)}" if names else "name a project's folder, archive or URL",
        )
    return pack(root, pipeline or names[0])


def _send_archive(parcel: Parcel, url: str, *, overwrite: bool) -> Sequence[str]:
    whole = url if "://" in url else str(Path(url).expanduser().resolve())
    folder, _, name = whole.rpartition("/")
    target = filesystems.Folder(folder or "/")
    if target.exists(name):
        _refuse([name], target.shown, _SENT, overwrite=overwrite)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in parcel.files.items():
            archive.writestr(path, content)
    target.write(name, buffer.getvalue())
    return [f"{target.shown}/{name}"]


def _refuse(conflicts: Sequence[str], shown: str, mend: str, *, overwrite: bool) -> None:
    if conflicts and not overwrite:
        raise UsageError(
            f"other files are there already: {', '.join(conflicts)}",
            where=shown,
            mend=mend,
        )


def _imported(root: Path, path: str, content: bytes) -> Iterator[str]:
    """Files of the project that a module imports."""
    if not path.endswith(".py"):
        return
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UsageError("it is no Python, so that what it needs is not known", where=f"{path}:{line}") from error
    package = Path(path).parent
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package
                for _ in range(node.level - 1):
                    above = above.parent
                base = ".".join(part for part in (*above.parts, *base.split(".")) if part)
            yield from _module_files(root, base)
            for alias in node.names:
                yield from _module_files(root, f"{base}.{alias.name}")


def _module_files(root: Path, name: str) -> Iterator[str]:
    """The file of a module of the project, and the packages around it; none for other modules."""
    parts = [part for part in name.split(".") if part]
    if not parts or (parts[0] in sys.stdlib_module_names and parts[0] != "pipelines"):
        return
    for length in range(1, len(parts) + 1):
        inner = "/".join(parts[:length])
        for file in (f"{inner}/__init__.py", f"{inner}.py"):
            if (root / file).is_file():
                yield file
