"""What is in a store, and how it gets out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from .files import UNFINISHED, Files, Item, open_files
from .names import folder_name, names_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The kept values of one node."""

    pipeline: str
    node: str
    values: int
    bytes: int
    #: When the oldest and the newest of them were stored, seconds since 1970.
    oldest: float
    newest: float


def survey(url: str, pipeline: str | None = None, node: str | None = None) -> list[Kept]:
    """What a store holds, by pipeline and node, in that order. Raises what the filesystem raises."""
    found: dict[tuple[str, str], list[Item]] = {}
    for names, item in _chosen(open_files(url), pipeline, node):
        found.setdefault(names, []).append(item)
    return [
        Kept(
            pipeline=names[0],
            node=names[1],
            values=len(items),
            bytes=sum(item.size for item in items),
            oldest=min(item.written for item in items),
            newest=max(item.written for item in items),
        )
        for names, items in sorted(found.items())
    ]


def clear(
    url: str, pipeline: str | None = None, node: str | None = None, *, older_than: float | None = None
) -> tuple[int, int]:
    """Delete kept values, those stored more than `older_than` seconds ago; how many, and their bytes.

    Files of others stay. Raises what the filesystem raises.
    """
    files = open_files(url)
    before = None if older_than is None else time.time() - older_than
    values = size = 0
    for _, item in list(_chosen(files, pipeline, node)):
        if before is None or item.written < before:
            files.remove(item.path)
            values += 1
            size += item.size
    return values, size


def _chosen(files: Files, pipeline: str | None, node: str | None) -> Iterator[tuple[tuple[str, str], Item]]:
    for item in files.items():
        folders = item.path.split("/")
        names = None if item.path.endswith(UNFINISHED) else names_in(item.path)
        if (
            names is not None
            and (pipeline is None or folders[0] == folder_name(pipeline))
            and (node is None or folders[1] == folder_name(node))
        ):
            yield names, item
