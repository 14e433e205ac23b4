"""A hot furnace makes an alert; what is asked of other systems is asked again, and not for ever."""

import time

from fp_events import retry, timeout, when

#: Calls of `operator`, to let each second one fail.
_calls: list[str] = []


@when(lambda celsius: celsius > 80)
@retry(3, delay="10ms", backoff=2, on=ConnectionError)
def operator(celsius: float, furnace: str) -> str:
    """Who is on duty: asked for hot furnaces only, by a system that does not answer each time."""
    _calls.append(furnace)
    if len(_calls) % 2:
        raise ConnectionError("the roster does not answer")
    return f"the operator of {furnace}"


def alert(celsius: float, operator: str) -> str:
    """Skipped with `operator`: nothing is published then."""
    return f"{celsius} degrees: call {operator}"


@timeout("100ms")
def forecast(celsius: float) -> float:
    """The model takes its time below zero."""
    if celsius < 0:
        time.sleep(1)
    return celsius * 1.1


def summary(operator: str | None, forecast: float) -> str:
    """Takes None where nobody was asked."""
    return f"{forecast:.1f} expected, {operator or 'nobody'} told"
