"""What may stand in a log line: no secret, no character that forges a line, nothing without end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

#: Characters of one value; more is cut, and its length told.
VALUE_LIMIT = 2000
_BLOCK_LIMIT = 20_000
#: Entries of one mapping or list, and levels of nesting.
_ENTRIES, _DEPTH = 50, 5
_MASK = "***"

#: `password_file` and `token_path` name places, which are worth reading.
_SECRET_NAME = re.compile(
    r"(?i)(pass(word|wd|phrase)|secret|token|api_?key|private_?key|hmac_?key|authorization|credential|cookie)"
    r"(?!.*(file|path)$)"
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
#: C0, DEL, C1, line and paragraph separators, and what turns the reading direction.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: The same without what JSON escapes by itself.
_CONTROL_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: A secret shorter than this is hidden only where it stands alone; else it would riddle every line.
_SHORT = 4

_secrets: set[str] = set()
_secret_pattern: re.Pattern[str] | None = None


def register_secret(value: str) -> None:
    """Never show `value` again, wherever in a log line it stands. Empty ones are passed over."""
    global _secret_pattern  # noqa: PLW0603 - secrets are the process's, and known before any logger
    if not value or value in _secrets:
        return
    _secrets.update({value, quote(value, safe="")})
    parts = [
        re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
        for secret in sorted(_secrets, key=len, reverse=True)
    ]
    _secret_pattern = re.compile("|".join(parts))


def hide_secrets(text: str) -> str:
    """`text` without registered secrets and without passwords in URLs."""
    if _secret_pattern is not None:
        text = _secret_pattern.sub(_MASK, text)
    return _URL_PASSWORD.sub(rf"\1{_MASK}@", text) if "://" in text else text


def for_console(text: str) -> str:
    """`text` on one line, with nothing that a terminal obeys."""
    return _CONTROL.sub(_escaped, text)


def for_json(text: str) -> str:
    """`text` as JSON can carry it: JSON itself escapes line breaks and the like."""
    return _CONTROL_IN_JSON.sub(_escaped, text)


def lines_for_console(text: str) -> str:
    """Several lines, such as a traceback: indented, so that none looks like a line of the log."""
    return "\n".join(f"    {for_console(line)}" for line in text.splitlines())


def block(text: str) -> str:
    """A traceback without secrets; of a very long one the end, which says what happened."""
    text = _encodable(hide_secrets(text))
    return text if len(text) <= _BLOCK_LIMIT else f"({len(text)} characters) …{text[-_BLOCK_LIMIT:]}"


def clean(event: Mapping[str, Any], escape: Callable[[str], str]) -> dict[str, Any]:
    """`event` with secrets hidden, texts escaped, long values cut; JSON can carry what remains."""
    return {
        _key(key, escape): _MASK if _hidden(key, value) else _value(value, escape, 0) for key, value in event.items()
    }


def _hidden(key: object, value: object) -> bool:
    return bool(value) and isinstance(value, str | bytes) and _SECRET_NAME.search(str(key)) is not None


def _key(key: object, escape: Callable[[str], str]) -> str:
    return escape(_encodable(str(key)[:100]))


def _value(value: Any, escape: Callable[[str], str], depth: int) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        # JSON readers and orjson stop at 64 bits.
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, Mapping) and depth < _DEPTH:
        entries = list(value.items())[:_ENTRIES]
        return {
            _key(key, escape): _MASK if _hidden(key, entry) else _value(entry, escape, depth + 1)
            for key, entry in entries
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH:
        return [_value(entry, escape, depth + 1) for entry in list(value)[:_ENTRIES]]
    return _text(value if isinstance(value, str) else _printed(value), escape)


def _printed(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a value that cannot be printed must not stop what logs it
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"


def _text(text: str, escape: Callable[[str], str]) -> str:
    # Secrets first: a cut could leave the half of one.
    text = hide_secrets(text)
    if len(text) > VALUE_LIMIT:
        text = f"{text[:VALUE_LIMIT]}… ({len(text)} characters)"
    return escape(_encodable(text))


def _encodable(text: str) -> str:
    """Lone surrogates have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
