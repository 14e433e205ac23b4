"""What a daemon holds in memory at the most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one daemon."""

    #: Runs that are not finished, and their bytes, that are held in memory. Above it those that are saved wait in the
    #: ledger; for those that are not, or where the ledger is in memory too, intake waits, and so does the broker.
    pending_runs: int = 50_000
    pending_bytes: int = 128 * 1024 * 1024
    #: Publications not yet confirmed, and their bytes; what is more stays in the ledger until these are gone.
    held_publications: int = 20_000
    held_bytes: int = 64 * 1024 * 1024
    #: Seconds after which a run that was found RUNNING no longer counts as what killed the process.
    alone_for: float = 10.0
