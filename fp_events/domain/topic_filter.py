"""One topic filter: MQTT's `+` and `#`, and captures, which are the same two with a name."""

from __future__ import annotations

from dataclasses import dataclass, field

from .text import UNSENDABLE

#: Bytes of UTF-8 that a topic or filter may have (MQTT 5, 4.7.3).
MAX_BYTES = 65_535

#: Names that templates and paths give a meaning of their own, so that no capture may have them.
RESERVED_NAMES = frozenset({"payload", "message", "topic", "value", "pipeline", "key"})


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A checked topic filter; made by `parse_filter`."""

    #: As written: ``$share/g/plant/{line}/{rest#}``.
    text: str
    #: What the broker is asked for: ``$share/g/plant/+/#``.
    filter: str
    #: Names of captures, in order of appearance.
    captures: tuple[str, ...]
    #: Group of a shared subscription (MQTT 5, 4.8.2); empty for an ordinary one.
    share: str
    #: The levels that topics are matched against, captures replaced, without ``$share/group``.
    levels: tuple[str, ...]
    #: (level, name) of captures of one level.
    _single: tuple[tuple[int, str], ...] = field(repr=False)
    #: Name of the capture of the rest.
    _rest: str | None = field(repr=False)

    @property
    def exact(self) -> bool:
        """No wildcards: it matches the one topic that it spells."""
        return "+" not in self.levels and self.levels[-1] != "#"

    def match(self, topic: str) -> dict[str, str] | None:
        """What the captures hold if `topic` matches, else None."""
        parts = topic.split("/")
        return self.captured(parts) if matches(self.levels, parts) else None

    def captured(self, parts: list[str]) -> dict[str, str]:
        """What the captures hold for the levels of a topic that is known to match."""
        found = {name: parts[level] for level, name in self._single}
        if self._rest is not None:
            found[self._rest] = "/".join(parts[len(self.levels) - 1 :])
        return found


def matches(levels: tuple[str, ...], parts: list[str]) -> bool:
    """Whether a filter's levels match a topic's (MQTT 5, 4.7.1 and 4.7.2)."""
    if levels[0] in ("+", "#") and parts[0].startswith("$"):
        return False
    for index, level in enumerate(levels):
        if level == "#":
            return True
        if index == len(parts) or level not in ("+", parts[index]):
            # `sport/#` matches `sport` too: the wildcard includes the parent level (4.7.1.2).
            return False
        if index == len(parts) - 1 and levels[index + 1 :] == ("#",):
            return True
    return len(levels) == len(parts)


def parse_filter(text: str) -> TopicPattern:
    """Check a topic filter as users write it: ``plant/{line}/+``, ``site/{rest#}``, ``$share/group/…``.

    `{rest#}` matches like `#`: also its parent level, where the capture is empty.
    Raises ValueError with one sentence.
    """
    _check_text(text, "topic filter")
    share, written = _split_share(text)
    levels: list[str] = []
    single: list[tuple[int, str]] = []
    rest: str | None = None
    for index, level in enumerate(written):
        plain, name = _parse_level(text, level)
        if plain == "#" and index != len(written) - 1:
            raise ValueError(f"topic filter {shown(text)}: {level!r} matches the rest, so it must be the last level")
        if name is not None and (name == rest or name in (other for _, other in single)):
            raise ValueError(f"topic filter {shown(text)}: two captures are called {name!r}")
        if name is not None and plain == "#":
            rest = name
        elif name is not None:
            single.append((index, name))
        levels.append(plain)
    names = tuple(name for _, name in single) + ((rest,) if rest is not None else ())
    prefix = f"$share/{share}/" if share else ""
    return TopicPattern(text, prefix + "/".join(levels), names, share, tuple(levels), tuple(single), rest)


def _split_share(text: str) -> tuple[str, list[str]]:
    levels = text.split("/")
    if levels[0] != "$share":
        return "", levels
    if len(levels) < 3 or not levels[1] or levels[2:] == [""]:
        raise ValueError(f"topic filter {shown(text)}: a shared subscription is written $share/group/filter")
    if any(sign in levels[1] for sign in "+#{}"):
        raise ValueError(f"topic filter {shown(text)}: the group of a shared subscription is a plain name")
    return levels[1], levels[2:]


def _parse_level(text: str, level: str) -> tuple[str, str | None]:
    """The level with its capture replaced by a wildcard, and the capture's name."""
    if level in ("+", "#"):
        return level, None
    if "{" not in level and "}" not in level:
        if "+" in level or "#" in level:
            raise ValueError(f"topic filter {shown(text)}: a wildcard must fill its level, which {level!r} does not")
        return level, None
    if level.count("{") != 1 or level.count("}") != 1 or level.index("}") < level.index("{"):
        raise ValueError(f"topic filter {shown(text)}: the braces in {level!r} do not pair up")
    if level[0] != "{" or level[-1] != "}":
        raise ValueError(f"topic filter {shown(text)}: a capture must fill its level, which {level!r} does not")
    name = level[1:-1].removesuffix("#")
    if not name.isidentifier():
        raise ValueError(f"topic filter {shown(text)}: the capture {level!r} is not named like a Python variable")
    if name in RESERVED_NAMES:
        raise ValueError(f"topic filter {shown(text)}: {name!r} has a meaning of its own, name the capture otherwise")
    return ("#" if level.endswith("#}") else "+"), name


def validate_topic(text: str) -> None:
    """Check a topic to publish to; raises ValueError with one sentence (MQTT 5, 3.3.2.1 and 4.7.3)."""
    _check_text(text, "topic")
    if "+" in text or "#" in text:
        raise ValueError(f"topic {shown(text)}: a topic to publish to has no wildcards, + or #")


def _check_text(text: str, kind: str) -> None:
    if not text:
        raise ValueError(f"the {kind} is empty")
    if "\0" in text:
        raise ValueError(f"{kind} {shown(text)}: the character NUL is not allowed")
    if not (text.isascii() and text.isprintable()) and (found := UNSENDABLE.search(text)):
        code = f"U+{ord(found.group()):04X}"
        raise ValueError(f"{kind} {shown(text)}: the character {code} is not allowed, brokers hang up for it")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{kind} {shown(text)}: it holds half of a surrogate pair, which UTF-8 cannot") from None
    if size > MAX_BYTES:
        raise ValueError(f"{kind} {shown(text)}: it has {size} bytes of UTF-8, and {MAX_BYTES} are allowed")


def shown(text: str) -> str:
    """`text` for an error: quoted, escaped and cut, so that no topic can break a line of a log."""
    quoted = ascii(text[:160])
    return quoted if len(text) <= 160 and len(quoted) <= 160 else quoted[:156].rstrip("\\") + "...'"
