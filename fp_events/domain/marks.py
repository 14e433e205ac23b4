"""Marks on a pipeline's functions: what the decorators of `fp_events` ask for beyond the call itself.

A decorator leaves `Marks` on the function and returns the function: whoever does not look for them, such as plain
Hamilton, sees an ordinary function. From outside in, a marked function is composed so:

    when -> cached -> retry -> timeout -> the function
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Any, Final

#: The attribute of a function that holds its `Marks`; `functools.wraps` carries it over to a wrapper.
ATTRIBUTE: Final = "__fp_events__"

#: The moment, of `time.monotonic`, at which the attempt that a node runs in is given up; None: never.
ATTEMPT_ENDS: ContextVar[float | None] = ContextVar("attempt_ends", default=None)


class Skipped:
    """The class of `SKIPPED`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SKIPPED"

    def __reduce__(self) -> str:
        # The only one, whichever process it has been through.
        return "SKIPPED"


#: The value of a node that did not run, within a plan; it never leaves one.
SKIPPED: Final = Skipped()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfInputs:
    """A function over some of the arguments of a marked function, such as a predicate."""

    function: Callable[..., Any]
    #: The arguments that it takes by name; None: all of them by position, in the marked function's order.
    names: tuple[str, ...] | None

    def __call__(self, arguments: Mapping[str, Any]) -> Any:
        """Call it with what it takes of `arguments`, which are in the marked function's order."""
        if self.names is None:
            return self.function(*arguments.values())
        return self.function(**{name: arguments[name] for name in self.names})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRetry:
    """`@retry`: call the function again where it raises."""

    #: Calls at the most, the first one among them.
    attempts: int
    #: Seconds before the second call.
    delay: float = 0.0
    #: What the delay is multiplied by from one call to the next; 1: it stays.
    backoff: float = 1.0
    #: Seconds; the cap of a delay, after jitter.
    max_delay: float = 3600.0
    #: ``delay * (1 + uniform(-j, j))``.
    jitter: float = 0.0
    #: Exceptions that are worth another call.
    on: tuple[type[Exception], ...] = (Exception,)

    def wait(self, failed: int, rng: Random) -> float:
        """Seconds to wait after call number `failed`, counted from 1."""
        if self.delay == 0:
            return 0.0
        try:
            delay = self.delay * self.backoff ** (failed - 1)
        except OverflowError:
            delay = math.inf
        if self.jitter:
            delay *= 1 + rng.uniform(-self.jitter, self.jitter)
        return max(0.0, min(delay, self.max_delay))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCache:
    """`@cached`: take the value from the project's cache where the same arguments had one."""

    #: Seconds that a value is good for; None: until the code changes.
    ttl: float | None = None
    #: Makes the key out of the arguments; None: all of them are the key.
    key: OfInputs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """All marks of one function."""

    #: The function runs where this is true of its arguments; otherwise its node is skipped.
    when: OfInputs | None = None
    retry: NodeRetry | None = None
    #: Seconds for one call.
    timeout: float | None = None
    cached: NodeCache | None = None


def marks_of(function: Any) -> Marks | None:
    """The marks of a function, or of what it wraps; None where it has none."""
    found = getattr(function, ATTRIBUTE, None)
    return found if isinstance(found, Marks) else None


def of_inputs(function: Callable[..., Any], marked: Callable[..., Any]) -> OfInputs:
    """How `function` takes the arguments of `marked`.

    By name where all its parameters are named like those of `marked`. By position where none is, and there are as
    many. With ``**`` it takes all of them by name, with ``*`` by position. Raises ValueError, with one sentence.
    """
    if inspect.iscoroutinefunction(function):
        raise ValueError("it takes an ordinary function, not an async one")
    given = tuple(inspect.signature(marked).parameters)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        # Some built-in functions do not tell.
        return OfInputs(function=function, names=None)
    kinds = {parameter.kind for parameter in parameters}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return OfInputs(function=function, names=given)
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return OfInputs(function=function, names=None)
    wanted = [each.name for each in parameters if each.name in given or each.default is inspect.Parameter.empty]
    by_position = all(each.kind is not inspect.Parameter.KEYWORD_ONLY for each in parameters)
    named = {each.name for each in parameters if each.kind is not inspect.Parameter.POSITIONAL_ONLY}
    unknown = [name for name in wanted if name not in given or name not in named]
    if not unknown:
        return OfInputs(function=function, names=tuple(wanted))
    if len(unknown) == len(wanted) == len(given) and by_position:
        return OfInputs(function=function, names=None)
    raise ValueError(f"its function takes '{unknown[0]}', but '{_name(marked)}' takes {', '.join(given) or 'nothing'}")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "the function")
