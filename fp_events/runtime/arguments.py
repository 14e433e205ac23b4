"""Arguments of commands, read strictly: what a command does not know, it refuses."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import Enum
from typing import Any, TypeVar

from fp_events.domain.durations import parse_duration
from fp_events.domain.errors import CommandRefused

E = TypeVar("E", bound=Enum)
T = TypeVar("T")

#: What a ledger's integers hold.
LARGEST = 2**63


class Arguments:
    """One command's arguments."""

    def __init__(
        self,
        command: str,
        given: Mapping[str, Any],
        known: tuple[str, ...],
        startable: Container[str] | None = None,
    ) -> None:
        """`startable`: see `may_start`."""
        self.command = command
        self._startable = startable
        self._given = {name: value for name, value in given.items() if value is not None}
        for name in self._given:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                mend = f"did you mean '{near[0]}'?" if near else f"it knows {', '.join(known) or 'none'}"
                raise CommandRefused(f"unknown argument '{name}'", where=command, mend=mend)

    def may_start(self, pipeline: str) -> bool:
        """Whether the door by which the command came may start runs of the pipeline."""
        return self._startable is None or pipeline in self._startable

    def given(self, name: str) -> bool:
        """Whether there is such an argument."""
        return name in self._given

    def value(self, name: str) -> Any:
        """Whatever was given; None if nothing was."""
        return self._given.get(name)

    def text(self, name: str) -> str | None:
        """A string, if given; one that can be stored and sent: no NUL, no lone surrogate."""
        value = self._typed(name, str, "text")
        if value is not None and not _storable(value):
            raise self._wrong(name, "text without NUL characters and lone surrogates")
        return value

    def needed(self, name: str) -> str:
        """A string that must be given."""
        value = self.text(name)
        if value is None:
            raise CommandRefused(f"'{name}' is missing", where=self.command)
        return value

    def number(self, name: str) -> float | None:
        """A finite number, if given."""
        value = self._given.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise self._wrong(name, "a number")
        if value is not None and not abs(value) < LARGEST:
            raise self._wrong(name, "a number below 2**63")
        return value

    def moment(self, name: str) -> datetime | None:
        """A point in time, if given: ISO 8601 with its zone, or seconds since 1970."""
        value = self._given.get(name)
        try:
            if isinstance(value, str):
                at = datetime.fromisoformat(value)
                if at.tzinfo is not None:
                    return at.astimezone(UTC)
            elif value is None or (seconds := self.number(name)) is None:
                return None
            else:
                return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            pass
        raise self._wrong(name, "a time with its zone, such as 2026-01-31T08:00:00Z, or seconds since 1970")

    def duration(self, name: str) -> float | None:
        """Seconds, if given: a number, or text such as ``2h30m``."""
        value = self._given.get(name)
        try:
            return None if value is None else parse_duration(value)
        except (ValueError, OverflowError):
            raise self._wrong(name, "a duration such as 90s or 2h30m") from None

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number from `least` to `most`, if given."""
        value = self._given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._wrong(name, f"a whole number from {least} to {most}")
        return value

    def count(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self.whole(name, 1, most)
        return default if value is None else value

    def flag(self, name: str) -> bool:
        """True or false; false if not given."""
        return bool(self._typed(name, bool, "true or false"))

    def mapping(self, name: str) -> dict[str, Any] | None:
        """An object, if given."""
        return self._typed(name, dict, "an object")

    def texts(self, name: str) -> list[str] | None:
        """A list of strings, if given."""
        value = self._typed(name, list, "a list of text")
        if value is not None and not all(isinstance(item, str) and _storable(item) for item in value):
            raise self._wrong(name, "a list of text")
        return value

    def choice(self, name: str, known: Sequence[str]) -> str | None:
        """One of several words, if given; in whichever case."""
        text = self.text(name)
        if text is not None and text.upper() not in known:
            raise self._wrong(name, f"one of {', '.join(known)}")
        return None if text is None else text.upper()

    def choices(self, name: str, kind: type[E]) -> frozenset[E]:
        """Members of an enum by value: one, or several separated by commas; empty if not given."""
        text = self.text(name)
        if text is None:
            return frozenset()
        known = {member.value: member for member in kind}
        found = [part.strip() for part in text.split(",")]
        for part in found:
            if part not in known:
                raise self._wrong(name, f"one of {', '.join(known)}")
        return frozenset(known[part] for part in found)

    def _typed(self, name: str, kind: type[T], what: str) -> T | None:
        value = self._given.get(name)
        if value is not None and not isinstance(value, kind):
            raise self._wrong(name, what)
        return value

    def _wrong(self, name: str, what: str) -> CommandRefused:
        return CommandRefused(f"'{name}' must be {what}", where=self.command)


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
