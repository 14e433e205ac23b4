"""Read-only copies of remote projects in a local folder, named after their content."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fp_events.domain.errors import StorageError

from .folders import Folder
from .locations import archive_or_folder, folder_name, without_credentials

#: What a project may hold; more is data.
MOST_FILES = 5_000
MOST_BYTES = 64 << 20
#: Snapshots of one project that are kept; those used last.
_KEPT = 20
#: Top folders that stay where they are: what is in them is read and written in place.
PASSED_OVER = frozenset({"data", "node_modules", "venv"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A copy of a project."""

    #: Holds the project's files as they were.
    folder: Path
    #: Holds what the project's daemon keeps: ``.fp-events``.
    home: Path
    #: Hash of all names and contents.
    digest: str


def home_of(url: str, environ: Mapping[str, str]) -> Path:
    """The local folder of a remote project: FP_EVENTS_HOME, or the user's folder for state, and a name of its own."""
    state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    base = Path(environ.get("FP_EVENTS_HOME") or Path(state) / "fp-events").expanduser().absolute()
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder_name(url)).strip("-")[:40] or "project"
    same = without_credentials(archive_or_folder(url))
    return base / f"{name}-{hashlib.sha256(same.encode()).hexdigest()[:12]}"


def take(url: str, home: Path) -> Snapshot:
    """Copy a project as it is now; a copy of the same content is used again.

    What begins with a dot and the folder ``data`` are left out. Raises StorageError, also for what is too large.
    """
    with _opened(archive_or_folder(url)) as found:
        kept = _kept(_project_in(found), home / "snapshots")
    _prune(kept.parent)
    return Snapshot(folder=kept, home=home, digest=kept.name)


def _kept(source: Folder, folders: Path) -> Path:
    """The copy of what `source` holds now."""
    try:
        folders.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=folders))
    except OSError as error:
        mend = "set FP_EVENTS_HOME to a folder that can be written"
        raise StorageError(f"it cannot be made ({error.strerror})", where=str(folders), mend=mend) from error
    try:
        kept = folders / _copy(source, made)
        if kept.exists():
            os.utime(kept)
        else:
            _rename(made, kept)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return kept


def _rename(made: Path, kept: Path) -> None:
    try:
        made.rename(kept)
    except OSError:
        # Another process was quicker with the same content.
        if not kept.is_dir():
            raise


@contextmanager
def _opened(url: str) -> Iterator[Folder]:
    """The folder; an archive that is elsewhere is fetched first, since not every server gives parts of a file."""
    inside, _, archive = url.partition("::")
    if not inside.startswith("zip://") or "://" not in archive:
        yield Folder(url)
        return
    with tempfile.NamedTemporaryFile(prefix="fp-events-", suffix=".zip") as file:
        file.write(Folder(archive).read("", MOST_BYTES))
        file.flush()
        yield Folder(f"{inside}::{file.name}", without_credentials(url.removeprefix("zip://::")))


def _project_in(folder: Folder) -> Folder:
    """The folder itself, or, where an archive holds nothing but one folder, that."""
    if folder.has_folder("conf") or folder.has_folder("pipelines"):
        return folder
    inner = folder.folders()
    if len(inner) == 1 and folder.url.startswith("zip://::"):
        return Folder(f"zip://{inner[0]}::{folder.url.removeprefix('zip://::')}", folder.shown)
    raise StorageError("it is no project: it has neither a folder conf nor a folder pipelines", where=folder.shown)


def _copy(source: Folder, target: Path) -> str:
    digest = hashlib.sha256()
    left = MOST_BYTES
    for number, (path, size) in enumerate(sorted(source.files(PASSED_OVER))):
        if number >= MOST_FILES or size > left:
            raise _too_large(source)
        content = source.read(path)
        left -= len(content)
        if left < 0:
            raise _too_large(source)
        digest.update(len(path.encode()).to_bytes(4, "big") + path.encode())
        digest.update(len(content).to_bytes(8, "big") + content)
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o444)
    return digest.hexdigest()[:20]


def _too_large(source: Folder) -> StorageError:
    return StorageError(
        f"the project holds more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB",
        where=source.shown,
        mend="keep data in its folder data/, which is not copied, or outside",
    )


def _prune(folders: Path) -> None:
    known = [entry for entry in folders.iterdir() if not entry.name.startswith(".")]
    for old in sorted(known, key=lambda entry: -entry.stat().st_mtime)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
