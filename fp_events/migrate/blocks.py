"""Taking an old block apart key by key, and putting a new file together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .reading import OldFile
from .report import Judge, Kind, Migration, Path, dotted
from .writing import Noted


class Old:
    """A block of an old file. What nobody takes is told at the end."""

    def __init__(self, migration: Migration, file: OldFile, path: Path = (), data: Any = None) -> None:
        self.migration = migration
        self.file = file
        self.path = path
        found = file.data if data is None and not path else data
        #: What has not been taken yet.
        self.left: dict[Any, Any] = dict(found) if isinstance(found, Mapping) else {}

    def where(self, name: str | None = None) -> str:
        """File and line of a key, or of the block."""
        return self.file.where(self.path if name is None else (*self.path, name))

    def key(self, name: str) -> str:
        """A key's full name."""
        return dotted((*self.path, name))

    def take(self, name: str) -> Any:
        """A key's value; None where it is not there. It counts as dealt with."""
        return self.left.pop(name, None)

    def block(self, name: str) -> Old:
        """The block below a key; an empty one where there is none."""
        value = self.left.get(name)
        if isinstance(value, Mapping) or value is None:
            self.left.pop(name, None)
        return Old(self.migration, self.file, (*self.path, name), value if isinstance(value, Mapping) else {})

    def drop(self, *names: str) -> None:
        """Take keys that say nothing here, without a word."""
        for name in names:
            self.left.pop(name, None)

    def tell(self, kind: Kind, name: str, old: object, new: str = "", note: str = "") -> None:
        """Note what became of a key."""
        self.migration.tell(kind, self.where(name), self.key(name), old, new, note)

    def end(self, note: str = "FlowerPower has no such key either: nothing was made of it") -> None:
        """Tell of what is left and not empty."""
        for name, value in self.left.items():
            if not is_empty(value):
                self.tell(Kind.TODO, str(name), value, note=note)
        self.left.clear()


class New:
    """A file of the new project, filled setting by setting as far as this version knows them."""

    def __init__(self, file: str, document: Literal["project", "pipeline"], judge: Judge) -> None:
        self.file = file
        self.data: dict[str, Any] = {}
        self._document = document
        self._judge = judge

    def put(self, old: Old, name: str, value: Any, path: Path, *, note: str = "", comment: str = "") -> bool:
        """Write the value of an old key at `path`; whether it could be.

        It is told where the key, the value or its meaning changed. `comment` stands above it in the new file.
        """
        before: Any = old.file.data
        for part in (*old.path, name):
            before = before.get(part) if isinstance(before, Mapping) else None
        reason = self._judge(self._document, path, value)
        if reason is not None:
            old.tell(Kind.TODO, name, before, note=reason)
            return False
        self.set(path, Noted(value, comment) if comment else value)
        if note or comment:
            old.tell(Kind.MEANING, name, before, self.shown(path, value), note or comment.replace("\n", " "))
        elif (*old.path, name) != path or before != value:
            old.tell(Kind.CHANGED, name, before, self.shown(path, value))
        return True

    def set(self, path: Path, value: Any) -> None:
        """Write a value, and the blocks around it."""
        block = self.data
        for part in path[:-1]:
            block = block.setdefault(str(part), {})
        block[str(path[-1])] = value

    def get(self, path: Path) -> Any:
        """What was written at a path; None where nothing was."""
        found: Any = self.data
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return found.value if isinstance(found, Noted) else found

    def takes(self, path: Path, value: object) -> bool:
        """Whether this version takes such a value there."""
        return self._judge(self._document, path, value) is None

    def shown(self, path: Path, value: Any) -> str:
        """A setting as the report names it."""
        from .report import shown_value

        return f"{dotted(path)}: {shown_value(str(path[-1]), value) or 'null'}"


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, false, or a block of such."""
    if isinstance(value, Mapping):
        return all(is_empty(item) for item in value.values())
    return value is None or value is False or value in ("", [], ())
