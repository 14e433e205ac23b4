"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random

#: Seconds: shortest and longest wait after a failure of the network or the broker.
USUAL = (0.2, 30.0)
#: Seconds: the same after a refusal that only a person can mend. Brokers ban clients that hammer.
REFUSED = (5.0, 60.0)
#: Seconds a connection must have lived for its loss to count as the first failure.
STEADY = 10.0


def backoff(failures: int, *, refused: bool = False) -> float:
    """Seconds to wait after so many failures in a row; jittered so that clients come apart."""
    floor, cap = REFUSED if refused else USUAL
    # 2**20 is far above any cap; without the limit a float overflows after weeks of a dead broker.
    ceiling = min(cap, floor * 2 ** min(failures, 20))
    return random.uniform(floor, ceiling)  # noqa: S311 - spreads load, guards nothing
