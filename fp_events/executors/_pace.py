"""How long the runs of each pipeline take, so that fast ones need not wait behind slow ones."""

from __future__ import annotations

#: Seconds; a pipeline whose moving average is above is slow.
SLOW = 0.002
#: Seconds; runs of a pipeline below are so short that one thread does them faster than two, which would change places.
QUICK = 0.0001
#: Weight of the newest run in the average.
_WEIGHT = 0.1
#: Seconds; longer runs count as this long, so that one first run with imports is forgotten after 16, and one run
#: whose thread had to wait for the interpreter makes no pipeline slow.
_CEILING = 5 * SLOW
#: Seconds; while a run is under way longer than this, its pipeline is taken for slow, whatever the average says.
STUCK = 0.005


class Pace:
    """Moving averages by pipeline. Updates may come from several threads: a lost one does no harm."""

    def __init__(self) -> None:
        self._averages: dict[str, float] = {}
        #: Pipelines of which a run is under way that lasts longer than `STUCK`.
        self.stuck: set[str] = set()
        #: Pipelines known to be fast.
        self._fast: set[str] = set()

    @property
    def has_fast(self) -> bool:
        """Whether some pipeline is known to be fast: one thread is kept for it then."""
        return bool(self._fast)

    def average(self, pipeline: str) -> float | None:
        """Seconds per run; None before the first one."""
        return self._averages.get(pipeline)

    def is_slow(self, pipeline: str) -> bool:
        """Known to be slow, or not known yet, or stuck."""
        return pipeline in self.stuck or self._averages.get(pipeline, _CEILING) > SLOW

    def share(self, pipeline: str, seconds: float, most: int) -> int:
        """Runs of the pipeline that are done in so many seconds; 1 where it is slow: none waits behind a long one."""
        if self.is_slow(pipeline):
            return 1
        return max(1, min(most, int(seconds / max(self._averages[pipeline], 1e-6))))

    def is_quick(self, pipeline: str) -> bool:
        """Known to be done sooner than another thread would have begun."""
        return self._averages.get(pipeline, _CEILING) < QUICK

    def record(self, pipeline: str, seconds: float) -> None:
        """Take one finished run into the average."""
        average = self._averages.get(pipeline)
        if average is not None and average <= SLOW and seconds <= SLOW:
            self._averages[pipeline] = average + _WEIGHT * (seconds - average)
            return
        seconds = min(seconds, _CEILING)
        average = seconds if average is None else average + _WEIGHT * (seconds - average)
        self._averages[pipeline] = average
        (self._fast.discard if average > SLOW else self._fast.add)(pipeline)
