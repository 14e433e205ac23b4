"""The project's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fp_events.domain.errors import Problem
from fp_events.filesystems import folder_name

from .layers import Layer
from .yamlfile import read_yaml


class ProjectFiles:
    """Reads the files of one project."""

    def __init__(self, root: str | Path, *, source: str = "", home: Path | None = None) -> None:
        """`source`: the URL that the folder is a copy of; `home`: where such a project keeps what it writes."""
        self._folder = Path(root).expanduser().resolve()
        #: Absolute path.
        self.root = str(self._folder)
        #: The URL, or the root itself.
        self.source = source or self.root
        self.home = home or self._folder
        #: The folder's name, or the archive's without its ending.
        self.folder = folder_name(source) if source else self._folder.name

    def names(self, folder: str) -> list[str]:
        """Names of what is in a folder, sorted; none if there is no such folder."""
        try:
            return sorted(entry.name for entry in (self._folder / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def has(self, file: str) -> bool:
        """Whether a file is there."""
        return (self._folder / file).is_file()

    def has_folder(self, folder: str) -> bool:
        """Whether a folder is there."""
        return (self._folder / folder).is_dir()

    def text(self, file: str) -> str:
        """The text of a UTF-8 file; raises OSError or UnicodeDecodeError."""
        return (self._folder / file).read_bytes().decode("utf-8-sig")

    def layer(self, file: str, environ: Mapping[str, str], problems: list[Problem]) -> Layer:
        """The settings in a YAML file; an empty layer where there is none. Adds to `problems`."""
        empty = Layer(data={}, where=file, is_file=True)
        if not self.has(file):
            return empty
        try:
            text = self.text(file)
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problems.append(Problem(what="is not UTF-8 text", where=f"{file}:{line}", mend="save it as UTF-8"))
            return empty
        except OSError as error:
            problems.append(Problem(what=f"cannot be read: {error.strerror or error}", where=file))
            return empty
        layer, found = read_yaml(text, file=file, environ=environ)
        problems += found
        return layer
