"""FlowerPower's YAML: version 1.1, as PyYAML reads it, with the line of every key.

There ``yes`` is true, ``10_000`` a number and ``2024-01-31`` a date. References to variables stay references, in the
spelling of this program.
"""

from __future__ import annotations

import re
from pathlib import Path as LocalPath
from typing import Any, Final

import yaml

from fp_events.domain.errors import ConfigError, StorageError

from .report import Path

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REFERENCE: Final = re.compile(r"\$\$|\$\{[^}]+\}|\$[A-Za-z_][A-Za-z0-9_]*")
#: In the first line of what this program writes of an old project.
MIGRATED: Final = "migrated from FlowerPower"
#: Blocks and lists inside one another, and values in a file, counting aliases: more is an attack or a mistake.
_DEEPEST: Final = 64
_MOST_VALUES: Final = 100_000
#: Keys further down have the line of the block around them.
_MARKED: Final = 6
_BRACED: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*(?:(?P<rule>:?[-?])(?P<rest>.*))?", re.S)


class Reference(str):
    """Text with references to variables, in this program's spelling."""

    __slots__ = ()


class OldFile:
    """One YAML file of the old project."""

    def __init__(self, name: str) -> None:
        #: Its path from the project's folder.
        self.name = name
        #: Path of a key -> its line.
        self.lines: dict[Path, int] = {}
        self.data: dict[Any, Any] = {}
        #: It was written by a migration.
        self.is_migrated = False
        self._count = 0

    @classmethod
    def read(cls, root: LocalPath, name: str) -> OldFile:
        """The file `name` below `root`; raises ConfigError with file and line, StorageError."""
        try:
            text = (root / name).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError("is not UTF-8 text", where=name, mend="save it as UTF-8") from error
        except OSError as error:
            raise StorageError(f"it cannot be read: {error.strerror}", where=str(root / name)) from error
        made = cls(name)
        first = text.partition("\n")[0]
        made.is_migrated = first.startswith("#") and MIGRATED in first
        made.data = made._read(text)
        return made

    def where(self, path: Path = ()) -> str:
        """File and line of a key, or of the nearest block around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines[path]}" if path else self.name

    def _read(self, text: str) -> dict[Any, Any]:
        loader = _Base(text)
        try:
            self._check_depth(text)
            node = loader.get_single_node()
            if node is None:
                return {}
            found = loader.construct_document(node)
        except yaml.YAMLError as error:
            raise self._broken(error) from error
        except (RecursionError, TypeError, ValueError) as error:
            raise ConfigError(f"is not YAML that can be read: {error}", where=self.name) from error
        finally:
            loader.dispose()
        if not isinstance(found, dict):
            raise ConfigError("is no block of keys such as 'name: value'", where=f"{self.name}:1")
        self._mark(node, ())
        translated = self._translated(found, 0)
        assert isinstance(translated, dict)
        return translated

    def _check_depth(self, text: str) -> None:
        # The C composer recurses without a limit and would take the process with it.
        depth = 0
        for event in yaml.parse(text, Loader=_Base):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                assert event.start_mark is not None
                where = f"{self.name}:{event.start_mark.line + 1}"
                raise ConfigError(f"is nested more than {_DEEPEST} levels deep", where=where)

    def _translated(self, value: Any, depth: int) -> Any:
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST_VALUES:
            raise ConfigError("holds more than anybody writes, or contains itself, through an alias", where=self.name)
        if isinstance(value, dict):
            return {name: self._translated(item, depth + 1) for name, item in value.items()}
        if isinstance(value, list | set | tuple):
            return [self._translated(item, depth + 1) for item in value]
        return reference(value) if isinstance(value, str) and "$" in value else value

    def _mark(self, node: yaml.Node, path: Path) -> None:
        if len(path) > _MARKED:
            return
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                place = (*path, str(key.value))
                self.lines[place] = key.start_mark.line + 1
                self._mark(value, place)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                place = (*path, index)
                self.lines[place] = item.start_mark.line + 1
                self._mark(item, place)

    def _broken(self, error: yaml.YAMLError) -> ConfigError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"{self.name}:{mark.line + 1}" if mark is not None else self.name
        reason = str(getattr(error, "problem", None) or "it cannot be parsed").replace("\n", " ")
        if "could not determine a constructor" in reason:
            return ConfigError("has a Python tag, which is not read", where=where, mend="write the value plainly")
        return ConfigError(f"is not YAML: {reason}", where=where, mend="mend the line")


def reference(text: str) -> str:
    """FlowerPower's references in this program's spelling; text without any as it is.

    ``${VAR}`` and ``$VAR`` were nothing where the variable is not set: ``${VAR:-}``. ``$$`` was a dollar sign.
    """
    found = False

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        token = match.group()
        if token == "$$":  # noqa: S105 (a dollar sign, no secret)
            return "$"
        braced = _BRACED.fullmatch(token[2:-1] if token.startswith("${") else token[1:])
        if braced is None:
            return "$${" + token[2:]
        found = True
        rule, rest = braced["rule"], braced["rest"] or ""
        return f"${{{braced['name']}:{'?' if rule and '?' in rule else '-'}{rest}}}"

    made = _REFERENCE.sub(replace, text)
    return Reference(made) if found else made
