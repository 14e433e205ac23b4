"""Values: frozen for whoever reads and type-checks the code, cheap for whoever makes ten for each message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=True)
def value(cls: type[T]) -> type[T]:
    """A slotted, keyword-only dataclass that type checkers hold for frozen.

    Nothing stops an assignment at run time: a frozen dataclass sets each field through `object.__setattr__`,
    which makes it three times as dear (1.3 against 0.4 us for eight fields, CPython 3.11).
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
