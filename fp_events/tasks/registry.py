"""Which tasks belong to whom: a module keeps those that it makes, a function has those that its variables hold.

The list of a module is in the module, so that it goes with it, and a second import of the file starts a new one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .task import Task

_BOOK: Final = "__fp_events_tasks__"


@dataclass(slots=True)
class _Book:
    """What one execution of a module has made."""

    code: CodeType
    tasks: list[Task] = field(default_factory=list)
    #: Tasks that its DAGs want to run at a time, the largest number of them.
    branches: int = 0


def is_module(frame: FrameType) -> bool:
    """Whether a frame is the top level of a module, of a script or of a notebook's cell."""
    # Its name is told apart from a class's by the bracket; its variables need not be its globals, since Python 3.12
    # keeps those of a comprehension beside them.
    return not frame.f_code.co_flags & CO_OPTIMIZED and frame.f_code.co_name.startswith("<")


def enter(task: Task, frame: FrameType) -> bool:
    """Note that `task` was made in `frame`. True where that is a function, which keeps its tasks itself."""
    if not is_module(frame):
        return True
    _add(task, frame)
    return False


def shadowed(task: Task, frame: FrameType) -> Task | None:
    """The task of the same name, written elsewhere, that a variable of the same function holds until now.

    It is about to be lost, and nobody would hear that two tasks had one name.
    """
    if is_module(frame):
        return None
    from .task import Task

    earlier = frame.f_locals.get(getattr(task, "__name__", task.name))
    if isinstance(earlier, Task) and earlier.local and earlier.name == task.name and earlier.where != task.where:
        return earlier
    return None


def adopt(tasks: Iterable[Task], branches: int, frame: FrameType) -> None:
    """Count a DAG's tasks among those of the module whose top level `frame` is; one in a function keeps them itself.

    `branches`: how many of them the DAG wants to run at a time.
    """
    if not is_module(frame):
        return
    for task in tasks:
        _add(task, frame)
    book = frame.f_globals.get(_BOOK)
    if isinstance(book, _Book):
        book.branches = max(book.branches, branches)


def branches_of(namespace: Mapping[str, Any]) -> int:
    """How many of a module's tasks its DAGs want to run at a time; 0 where they do not say."""
    book = namespace.get(_BOOK)
    return book.branches if isinstance(book, _Book) else 0


def visible(frame: FrameType) -> list[Task]:
    """The tasks that were made in the function of `frame`, or those of its module where there are none.

    With them come all that they wait for.
    """
    if not is_module(frame):
        own = [task for task in _held(frame.f_locals) if task.local]
        if own:
            return _with_upstream(own)
    return tasks_of(frame.f_globals)


def tasks_of(namespace: Mapping[str, Any]) -> list[Task]:
    """The tasks that a module has made at its top level or holds from functions, and all that they wait for."""
    book = namespace.get(_BOOK)
    made = book.tasks if isinstance(book, _Book) else []
    return _with_upstream([*made, *(task for task in _held(namespace) if task.local)])


def clear(namespace: Mapping[str, Any]) -> None:
    """Forget what a module has made so far."""
    book = namespace.get(_BOOK)
    if isinstance(book, _Book):
        book.tasks.clear()


def look_up(module: str, name: str) -> Any:
    """The task that a module has under a name; what a pickled Task is made of."""
    return getattr(importlib.import_module(module), name)


def _add(task: Task, frame: FrameType) -> None:
    namespace, code = frame.f_globals, frame.f_code
    book = namespace.get(_BOOK)
    # A prompt or a notebook runs piece after piece, each with code of its own; a file is run as a whole, and anew.
    piecemeal = "__file__" not in namespace or code.co_filename.startswith("<")
    if not isinstance(book, _Book) or (
        not piecemeal and book.code is not code and book.code.co_filename == code.co_filename
    ):
        book = namespace[_BOOK] = _Book(code)
    if piecemeal:
        book.tasks[:] = [known for known in book.tasks if known.name != task.name]
    if not any(known is task for known in book.tasks):
        book.tasks.append(task)


def _held(namespace: Mapping[str, Any]) -> Iterator[Task]:
    """Tasks among variables, and in lists, tuples, sets and dictionaries among them."""
    from .task import Task

    for value in list(namespace.values()):
        if isinstance(value, Task):
            yield value
        elif isinstance(value, list | tuple | set | frozenset):
            yield from (each for each in value if isinstance(each, Task))
        elif type(value) is dict and value is not namespace:
            yield from (each for each in value.values() if isinstance(each, Task))


def _with_upstream(tasks: list[Task]) -> list[Task]:
    found: dict[int, Task] = {}
    waiting = list(reversed(tasks))
    while waiting:
        task = waiting.pop()
        if id(task) not in found:
            found[id(task)] = task
            waiting += reversed([*task.upstream, *([task.shadows] if task.shadows else [])])
    return list(found.values())
