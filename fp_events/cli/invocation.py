"""What stands before the command: which project, which environment, how much to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import UsageError

if TYPE_CHECKING:
    from fp_events.config import Config

#: The file that makes a folder a project.
MARKER = Path("conf", "project.yml")

_WITH_VALUE = frozenset({"--project", "--env", "--by"})
_FLAGS = frozenset({"--debug"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The global options of one call."""

    #: A folder or a URL; None: the nearest folder upwards.
    project: str | None = None
    environment: str | None = None
    debug: bool = False

    def root(self) -> Path:
        """The project's folder, to be changed. Raises UsageError where there is none on this machine."""
        where = self.location()
        if isinstance(where, Path):
            return where
        raise UsageError(f"{where} is no folder of this machine, and is only read", mend="change it where it is kept")

    def location(self) -> Path | str:
        """The project's folder, or its URL. Raises UsageError where there is none."""
        if self.project is not None:
            from fp_events.filesystems import is_remote

            folder = Path(self.project)
            if is_remote(self.project) and not folder.is_dir():
                return self.project
            if not (folder / "conf").is_dir():
                raise UsageError(f"{folder} is no project: it has no conf/ folder", mend=_MEND)
            return folder.resolve()
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / MARKER).is_file():
                return folder
        raise UsageError(f"no project here: neither {here} nor a folder above it has {MARKER}", mend=_MEND)

    def config(self, overrides: Mapping[str, Any] | None = None, *, tells: bool = True) -> Config:
        """The project's configuration; its warnings are for `check` and `serve` to show. Raises ConfigError.

        `tells`: says on stderr where a remote project's copy is.
        """
        from fp_events import config

        loaded = config.load(self.location(), environment=self.environment, overrides=overrides or {})
        if loaded.remote and tells:
            from .output import note

            note(f"{loaded.shown} is read from its copy {loaded.root}; what is written goes to {loaded.home}")
        return loaded


_MEND = "make one with `fp-events init NAME`, or name its folder with --project"


def globals_first(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split `arguments` into the global options, wherever they stand, and the rest.

    ``--json`` becomes ``--format json``. What follows a ``--`` is left alone.
    """
    front: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        name = argument.partition("=")[0]
        if argument == "--":
            rest.extend(arguments[position:])
            break
        if argument in _WITH_VALUE and position + 1 < len(arguments):
            front.extend(arguments[position : position + 2])
            position += 1
        elif argument in _FLAGS or (name in _WITH_VALUE and name != argument):
            front.append(argument)
        elif argument == "--json":
            rest.extend(("--format", "json"))
        else:
            rest.append(argument)
        position += 1
    return front, rest
