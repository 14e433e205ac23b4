"""What a daemon asks of the interpreter."""

from __future__ import annotations

import gc

#: Allocations between two looks at the youngest objects, and looks between those at older ones. With Python's own
#: (700, 10, 10) the collector takes a fifth of the loop's time in a burst, since all that waits is looked at again
#: and again, and none of it is garbage: the hot path makes no cycles.
THRESHOLDS = (10_000, 20, 50)


def settle() -> None:
    """The daemon has loaded what it needs: none of that is ever garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
