"""How large a payload may be, and how deep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a payload may not exceed; beyond it, it is Undecodable."""

    #: Bytes.
    size: int = 16 * 1024 * 1024
    #: Containers in containers; 1: a list of scalars. At most 1,000, as JSON's parser takes no more than 1,024.
    depth: int = 64
    #: Values in all containers together: 16 MiB of ``[],`` would take a GiB. In JSON commas, brackets and
    #: line ends are counted, in text as well, since that is known before any memory is taken.
    items: int = 1_000_000


DEFAULT_LIMITS = Limits()

#: Integers of all formats: what MessagePack and orjson have room for.
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
