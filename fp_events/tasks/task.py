"""A function with what is to happen around its call, and edges to others."""

from __future__ import annotations

import functools
import inspect
import linecache
import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, TypeVar, overload

from fp_events.domain.durations import parse_duration
from fp_events.domain.errors import FlowkitError
from fp_events.domain.marks import Marks, NodeRetry, marks_of

from . import registry
from .direct import call

F = TypeVar("F", bound=Callable[..., Any])

#: A part of each delay by which it may be longer or shorter, so that tasks that failed together do not return together.
_JITTER: Final = 0.1


class Task:
    """A unit of work. `a >> b` gives the value of `a` to `b`; `a >> [b, c]` to both; `[a, b] >> c` both to `c`.

    Calling a task runs its function here and now, with its condition, retries and timeout; None where the condition
    does not hold.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        name: str | None = None,
        retries: int = 0,
        delay: float | str = 1.0,
        backoff: float = 2.0,
        max_delay: float | str = 3600.0,
        jitter: float = _JITTER,
        on: type[Exception] | Iterable[type[Exception]] = Exception,
        when: Callable[..., Any] | None = None,
        timeout: float | str | None = None,
    ) -> None:
        """`retries`: calls beyond the first where `func` raises one of `on`.

        `delay`: seconds, or text such as ``"2s"``, before the first of them; each further one is `backoff` times as
        long, `max_delay` at the most, and changed at random by up to `jitter` of itself. `when` takes the arguments of
        `func`, or some of them by name; where it is false the task is skipped. `timeout`: for one call; what an
        ordinary function returns later is dropped. Raises FlowkitError for a wrong setting.
        """
        if not callable(func) or isinstance(func, Task):
            raise FlowkitError(f"a task is made of a function, not of {func!r}")
        functools.update_wrapper(self, func)
        found = name or getattr(func, "__name__", "")
        if not found or found == "<lambda>":
            raise FlowkitError(f"{func!r} has no name", where=_caller_place(), mend="write task(name='…')")
        if when is not None and not callable(when):
            raise FlowkitError(f"`when` of task '{found}' is a function, not {when!r}")
        kinds = _exceptions(found, on)
        marks = marks_of(func) or Marks()
        self.func = func
        self.name = found
        self.retries = _retries(found, retries)
        self.delay = _seconds(found, "delay", delay)
        self.backoff = _number(found, "backoff", backoff, 1.0)
        self.max_delay = _seconds(found, "max_delay", max_delay)
        self.jitter = _number(found, "jitter", jitter, 0.0)
        self.when = _once(found, "when", when, marks.when and marks.when.function)
        self.timeout = _once(
            found, "timeout", None if timeout is None else _seconds(found, "timeout", timeout), marks.timeout
        )
        #: None: it is called once.
        self.retry: NodeRetry | None = _once(
            found, "retries", self._policy(kinds) if self.retries else None, marks.retry
        )
        #: `@cached` stood under `@task`.
        self.cached = marks.cached
        #: In the order in which the edges were drawn: arguments bind by it.
        self.upstream: list[Task] = []
        self.downstream: list[Task] = []
        #: Where it was made, for functions that have no source.
        self._place = _caller_place()
        #: It belongs to the function that made it, and not to a module.
        self.local = registry.enter(self, caller())
        #: A task of the same name in the same function, whose variable this one takes.
        self.shadows: Task | None = registry.shadowed(self, caller())

    def _policy(self, on: tuple[type[Exception], ...]) -> NodeRetry:
        return NodeRetry(
            attempts=self.retries + 1,
            delay=self.delay,
            backoff=self.backoff,
            max_delay=self.max_delay,
            jitter=self.jitter,
            on=on,
        )

    @property
    def is_async(self) -> bool:
        """Calling its function gives a coroutine."""
        return inspect.iscoroutinefunction(inspect.unwrap(self.func))

    @property
    def where(self) -> str:
        """``file:line`` of its function."""
        code = getattr(inspect.unwrap(self.func), "__code__", None)
        return place_of(code) if isinstance(code, CodeType) else self._place

    @classmethod
    def clear_registry(cls) -> None:
        """Forget the tasks that the calling module has made so far."""
        registry.clear(caller().f_globals)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See the class."""
        return call(self, args, kwargs)

    @overload
    def __rshift__(self, other: Task) -> Task: ...
    @overload
    def __rshift__(self, other: Iterable[Task]) -> Group: ...
    def __rshift__(self, other: Task | Iterable[Task]) -> Task | Group:
        targets = _connect([self], [other] if isinstance(other, Task) else other)
        return other if isinstance(other, Task) else targets

    def __rrshift__(self, other: Iterable[Task]) -> Task:
        _connect(other, [self])
        return self

    def __reduce__(self) -> tuple[object, ...]:
        # By reference, as functions are; the name that the module has for it need not be the function's.
        namespace = vars(sys.modules[self.__module__]) if self.__module__ in sys.modules else {}
        for name, value in namespace.items():
            if value is self:
                return registry.look_up, (self.__module__, name)
        raise FlowkitError(
            f"task '{self.name}' cannot go to another process", where=self.where, mend="give it a name in a module"
        )

    def __repr__(self) -> str:
        return f"Task({self.name!r}, upstream={len(self.upstream)}, downstream={len(self.downstream)})"


class Group(list[Task]):
    """What `a >> [b, c]` gives, so that the chain goes on: `a >> [b, c] >> d`."""

    @overload
    def __rshift__(self, other: Task) -> Task: ...
    @overload
    def __rshift__(self, other: Iterable[Task]) -> Group: ...
    def __rshift__(self, other: Task | Iterable[Task]) -> Task | Group:
        targets = _connect(self, [other] if isinstance(other, Task) else other)
        return other if isinstance(other, Task) else targets


@overload
def task(func: Callable[..., Any], /) -> Task: ...
@overload
def task(
    *,
    name: str | None = ...,
    retries: int = ...,
    delay: float | str = ...,
    backoff: float = ...,
    max_delay: float | str = ...,
    jitter: float = ...,
    on: type[Exception] | Iterable[type[Exception]] = ...,
    when: Callable[..., Any] | None = ...,
    timeout: float | str | None = ...,
) -> Callable[[Callable[..., Any]], Task]: ...
def task(func: Callable[..., Any] | None = None, /, **settings: Any) -> Task | Callable[[Callable[..., Any]], Task]:
    """Make a Task of a function, as ``@task`` or ``@task(retries=3)``; the settings are those of `Task`."""
    if func is not None:
        return Task(func, **settings)
    return lambda function: Task(function, **settings)


def caller() -> FrameType:
    """The frame of whoever called into this package; comprehensions belong to what they stand in."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_back is not None and _is_ours(frame):
        frame = frame.f_back
    assert frame is not None
    return frame


def _is_ours(frame: FrameType) -> bool:
    inside = str(frame.f_globals.get("__name__", "")).startswith(("fp_events.tasks", "fp_events.dags"))
    return inside or frame.f_code.co_name in {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


def place_of(code: CodeType) -> str:
    """``file:line`` of a function's ``def``, relative to the working directory where it is inside."""
    line = code.co_firstlineno
    if code.co_name != "<lambda>":
        for number, text in enumerate(linecache.getlines(code.co_filename)[line - 1 :], start=line):
            if text.lstrip().startswith(("def ", "async def ")):
                line = number
                break
    return f"{_short(code.co_filename)}:{line}"


def _caller_place() -> str:
    frame = caller()
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"


def _short(file: str) -> str:
    try:
        return Path(file).relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return file


def _connect(sources: Iterable[Task], targets: Iterable[Task]) -> Group:
    """Draw an edge from each of `sources` to each of `targets`. An edge that is there stays the only one."""
    given, taken = _tasks(sources), _tasks(targets)
    for target in taken:
        for source in given:
            if not any(known is source for known in target.upstream):
                target.upstream.append(source)
                source.downstream.append(target)
    return taken


def _tasks(items: object) -> Group:
    found = Group()
    for each in items if isinstance(items, Iterable) else [items]:
        if not isinstance(each, Task):
            raise FlowkitError(
                f"'>>' connects tasks, and {each!r} is none", where=_caller_place(), mend="put @task above it"
            )
        found.append(each)
    return found


def _once(name: str, setting: str, own: Any, marked: Any) -> Any:
    """A setting of `@task`, or of a decorator of `fp_events.nodes` under it."""
    if own is not None and marked is not None:
        raise FlowkitError(
            f"task '{name}' has `{setting}` twice: in @task and by a decorator under it", mend="keep one"
        )
    return marked if own is None else own


def _retries(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FlowkitError(f"`retries` of task '{name}' is a whole number from 0, not {value!r}")
    return value


def _seconds(name: str, setting: str, value: object) -> float:
    try:
        return parse_duration(value)
    except ValueError:
        raise FlowkitError(
            f"`{setting}` of task '{name}' is a number of seconds or text such as '2s', not {value!r}"
        ) from None


def _number(name: str, setting: str, value: object, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise FlowkitError(f"`{setting}` of task '{name}' is a number from {least:g}, not {value!r}")
    return value


def _exceptions(name: str, on: object) -> tuple[type[Exception], ...]:
    kinds = tuple(on) if isinstance(on, Iterable) else (on,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise FlowkitError(f"`on` of task '{name}' names classes of exceptions, not {kind!r}")
    return kinds
