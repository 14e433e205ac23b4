"""The project's folder on any fsspec filesystem."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path as LocalPath
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it ships no types

from fp_events.domain.errors import ConfigError, Problem

from .layers import Layer
from .urls import without_credentials
from .yamlfile import read_yaml


class ProjectFiles:
    """Reads the files of one project."""

    def __init__(self, root: str | LocalPath) -> None:
        text = os.fspath(root)
        self.local = "://" not in text and "::" not in text
        #: Absolute path, or the URL as given.
        self.root = str(LocalPath(text).expanduser().resolve()) if self.local else text.rstrip("/")
        try:
            self._fs: Any
            self._fs, self._base = fsspec.core.url_to_fs(self.root)
        except (OSError, ValueError, ImportError) as error:
            what = without_credentials(f"the project {self.root} cannot be opened: {error}")
            raise ConfigError(what) from error
        # Remote filesystems remember listings, and a reload must see what changed.
        self._fs.invalidate_cache()

    @property
    def folder(self) -> str:
        """The last part of the root: the folder's name, or the archive's without its ending."""
        last = self.root.rpartition("::")[2].rstrip("/")
        name = last.rpartition("/")[2]
        return name.removesuffix(".zip") if "::" in self.root else name

    def _path(self, relative: str) -> str:
        return f"{self._base.rstrip('/')}/{relative}" if self._base else relative

    def names(self, folder: str) -> list[str]:
        """Names of what is in a folder, sorted; none if there is no such folder."""
        try:
            paths = self._fs.ls(self._path(folder), detail=False)
        except (FileNotFoundError, NotADirectoryError, KeyError):
            return []
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths})

    def has(self, file: str) -> bool:
        """Whether a file is there."""
        return bool(self._fs.isfile(self._path(file)))

    def has_folder(self, folder: str) -> bool:
        """Whether a folder is there."""
        return bool(self._fs.isdir(self._path(folder)))

    def text(self, file: str) -> str:
        """The text of a UTF-8 file; raises OSError or UnicodeDecodeError."""
        content: bytes = self._fs.cat_file(self._path(file))
        return content.decode("utf-8-sig")

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
