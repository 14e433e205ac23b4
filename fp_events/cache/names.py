"""Paths of kept values: ``<pipeline>/<node>/<key>.fpc``, whatever the names are."""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import quote, unquote

from .files import ENDING

#: Folders' names are cut to so much; filesystems end at 255.
_LONGEST: Final = 120


def path_of(pipeline: str, node: str, key: str) -> str:
    """Where the value is; `key` is hexadecimal."""
    return f"{folder_name(pipeline)}/{folder_name(node)}/{key}{ENDING}"


def folder_name(name: str) -> str:
    """One level of a path that stands for a name."""
    quoted = quote(name, safe="", errors="surrogatepass").replace(".", "%2E").replace("~", "%7E")
    if len(quoted) <= _LONGEST:
        return quoted
    return f"{quoted[: _LONGEST - 20]}~{hashlib.blake2b(quoted.encode(), digest_size=8).hexdigest()}"


def names_in(path: str) -> tuple[str, str] | None:
    """Pipeline and node of a path, long names cut; None for files of others."""
    parts = path.split("/")
    if len(parts) != 3 or not parts[2].endswith(ENDING) or parts[2].startswith("."):
        return None
    return unquote(parts[0]), unquote(parts[1])
