"""When a failed attempt is tried again. Rules return decisions; the runner acts."""

from __future__ import annotations

from random import Random

from .run import AttemptResult, Ended, Outcome
from .values import value


@value
class RetryPolicy:
    """How often and when; names and defaults are FlowerPower's."""

    max_retries: int = 0
    #: Seconds before the first retry.
    retry_delay: float = 5.0
    #: ``delay * (1 + uniform(-j, j))``.
    jitter_factor: float = 0.0
    #: False: every delay is `retry_delay`. True: doubled with each retry.
    exponential: bool = False
    #: Seconds; the cap of a delay, after jitter.
    max_delay: float = 3600.0
    #: Names of exceptions to retry; empty: all. A dotted name is the class or a base of it,
    #: a bare name matches the last part of the class's or a base's name.
    retry_exceptions: tuple[str, ...] = ()

    def delay(self, retry: int, rng: Random) -> float:
        """Seconds to wait before retry number `retry`, counted from 1."""
        delay = self.retry_delay
        if self.exponential:
            # 2**64 seconds is past any cap; the bound keeps the float finite.
            delay *= 2.0 ** min(retry - 1, 64)
        if self.jitter_factor:
            delay *= 1 + rng.uniform(-self.jitter_factor, self.jitter_factor)
        return max(0.0, min(delay, self.max_delay))

    def retries(self, lineage: tuple[str, ...]) -> bool:
        """Whether an exception with these class names is worth another attempt."""
        if not self.retry_exceptions:
            return True
        names = {*lineage, *(name.rpartition(".")[2] for name in lineage)}
        return not names.isdisjoint(self.retry_exceptions)


@value
class Decision:
    """What follows from an attempt: an outcome, or another attempt after `delay` seconds."""

    outcome: Outcome | None = None
    delay: float = 0.0


_SUCCEEDED = Decision(outcome=Outcome.SUCCEEDED)


def decide(
    policy: RetryPolicy, result: AttemptResult, *, retries: int, time_left: float | None, rng: Random
) -> Decision:
    """Decide what follows from `result`.

    `retries`: how many retries the run has had already. `time_left`: seconds until the run's deadline,
    None without one; a retry that would start after it ends the run as TIMED_OUT.
    """
    if result.ended is Ended.RETURNED:
        return _SUCCEEDED
    if result.ended is Ended.REJECTED:
        return Decision(outcome=Outcome.REJECTED)
    if result.ended is Ended.CANCELLED:
        return Decision(outcome=Outcome.CANCELLED)
    final = Outcome.TIMED_OUT if result.ended is Ended.TIMED_OUT else Outcome.FAILED
    if time_left is not None and time_left <= 0:
        return Decision(outcome=Outcome.TIMED_OUT)
    lineage = result.failure.lineage if result.failure else ()
    if retries >= policy.max_retries or (result.ended is Ended.RAISED and not policy.retries(lineage)):
        return Decision(outcome=final)
    delay = policy.delay(retries + 1, rng)
    if time_left is not None and delay >= time_left:
        return Decision(outcome=Outcome.TIMED_OUT)
    return Decision(delay=delay)
