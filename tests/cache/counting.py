"""What nodes of the tests' projects tell of themselves: this module is none of theirs, so that it counts for nothing."""

from __future__ import annotations

#: Names of functions that were called.
CALLS: list[str] = []


def called(name: str) -> None:
    """Note a call."""
    CALLS.append(name)
