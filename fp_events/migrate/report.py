"""What a migration changed, left out, and leaves to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path as LocalPath
from typing import Any, Final, Literal

#: Keys and positions below the top of a file.
Path = tuple[str | int, ...]
#: Whether a setting can be written: file, path, value -> None, or why not.
Judge = Callable[[Literal["project", "pipeline"], Path, object], str | None]

_SECRET: Final = frozenset({"password", "pw", "api_key", "token", "secret"})
#: Characters of a value that the report shows.
_SHOWN: Final = 60
_CREDENTIALS: Final = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/]*@")


class Kind(StrEnum):
    """What became of a setting or a line."""

    #: It stands elsewhere, or is written otherwise, and means the same.
    CHANGED = "changed"
    #: It is written as it was, or nearly, and means something else here.
    MEANING = "meaning"
    #: It has no counterpart and needs none.
    DROPPED = "dropped"
    #: It has no counterpart, or wants a decision: somebody has to look.
    TODO = "todo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not as it was."""

    kind: Kind
    #: In the old project: file, with the line where it is known.
    where: str
    #: Setting, with dots; or what a line of code does.
    key: str
    #: What it was, as text; secrets are ``***``.
    old: str
    #: Where and what it is now; empty: nowhere.
    new: str
    #: Why, or what to do.
    note: str


@dataclass(slots=True)
class Migration:
    """A project on its way: the files to write, and what is told of it."""

    source: LocalPath
    target: LocalPath
    #: The project's name, as topics have it.
    name: str = ""
    #: The old project's layout, in words.
    layout: str = ""
    #: File in the new project -> its text.
    texts: dict[str, str] = field(default_factory=dict)
    #: File in the new project -> file in the old one, to be copied as it is.
    copies: dict[str, str] = field(default_factory=dict)
    #: Files of `texts` that only their owner may read.
    private: set[str] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)

    def tell(self, kind: Kind, where: str, key: str, old: object = "", new: str = "", note: str = "") -> None:
        """Note one thing."""
        shown = shown_value(key, old)
        self.changes.append(Change(kind=kind, where=where, key=key, old=shown, new=new, note=note))

    def of(self, kind: Kind) -> Sequence[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind is kind]


def dotted(path: Path) -> str:
    """A path as people write it: ``run.executor.type``, ``triggers[0].topic``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shown_value(key: str, value: object) -> str:
    """A value for the report, on one line."""
    if value in ("", None):
        return ""
    if key.rpartition(".")[2] in _SECRET:
        return "***"
    text = _CREDENTIALS.sub(r"\1***@", _compact(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _compact(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        inside = ", ".join(f"{name}: {shown_value(str(name), item) or 'null'}" for name, item in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_compact(item) for item in value)}]"
    return " ".join(str(value).split()) if value is not None else "null"
