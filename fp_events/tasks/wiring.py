"""The tasks of one DAG put in order, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from fp_events.domain.errors import DAGCycleError, DuplicateTaskError, TaskNotFoundError

from .binding import Binding, bind
from .task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Tasks by name, each after what it waits for."""

    bindings: Mapping[str, Binding]
    #: Parameters that no edge fills, by name; True where some task cannot do without.
    inputs: Mapping[str, bool]
    #: Tasks that need not run: those with a condition, and what waits for one of them.
    may_skip: frozenset[str]

    def downstream(self) -> dict[str, list[str]]:
        """Task -> the tasks that wait for it."""
        found: dict[str, list[str]] = {name: [] for name in self.bindings}
        for name, binding in self.bindings.items():
            for source in dict.fromkeys(binding.upstream):
                found[source].append(name)
        return found


def wire(tasks: Iterable[Task], *, where: Callable[[Task], str] = lambda task: task.where) -> Wiring:
    """Order tasks and bind their arguments; `where` gives a task's ``file:line``.

    Raises DuplicateTaskError, TaskNotFoundError, DAGCycleError, or FlowkitError for edges that do not fit a function.
    """
    by_name = _by_name(tasks, where)
    for task in by_name.values():
        for source in task.upstream:
            if by_name.get(source.name) is not source:
                raise _missing(task, source, by_name, where)
    order = list(_order(list(by_name.values()), where))
    may_skip: set[str] = set()
    bindings: dict[str, Binding] = {}
    inputs: dict[str, bool] = {}
    for task in order:
        if task.when is not None or any(source.name in may_skip for source in task.upstream):
            may_skip.add(task.name)
        bindings[task.name] = bind(task, by_name.keys(), may_skip, where=where(task))
        for name, required in bindings[task.name].inputs.items():
            inputs[name] = required or inputs.get(name, False)
    return Wiring(bindings=bindings, inputs=inputs, may_skip=frozenset(may_skip))


def _by_name(tasks: Iterable[Task], where: Callable[[Task], str]) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for task in tasks:
        known = found.setdefault(task.name, task)
        if known is not task:
            raise DuplicateTaskError(
                f"two tasks are called '{task.name}': the other one is at {where(known)}",
                where=where(task),
                mend="rename one of them, or give it a name: @task(name='…')",
            )
    return found


def _missing(
    task: Task, source: Task, known: Mapping[str, Task], where: Callable[[Task], str]
) -> TaskNotFoundError | DuplicateTaskError:
    if source.name in known:
        return DuplicateTaskError(
            f"task '{task.name}' waits for a task '{source.name}' at {where(source)}, but the DAG has another one of "
            f"that name, at {where(known[source.name])}",
            where=where(task),
            mend="draw the edge again, or rename one of them",
        )
    near = get_close_matches(source.name, known, n=1)
    return TaskNotFoundError(
        f"task '{task.name}' waits for '{source.name}', which is not among the tasks of the DAG",
        where=where(task),
        mend=f"add '{source.name}', or did you mean '{near[0]}'?" if near else f"add '{source.name}' to its tasks",
    )


def _order(tasks: Sequence[Task], where: Callable[[Task], str]) -> Iterator[Task]:
    """Each task after its upstream ones, otherwise as given; without recursion, for chains of thousands."""
    done: set[str] = set()
    for start in tasks:
        if start.name in done:
            continue
        path = [start]
        on_path = {start.name}
        waiting = [iter(start.upstream)]
        while path:
            for source in waiting[-1]:
                if source.name in on_path:
                    raise _cycle(path, source, where)
                if source.name not in done:
                    path.append(source)
                    on_path.add(source.name)
                    waiting.append(iter(source.upstream))
                    break
            else:
                waiting.pop()
                task = path.pop()
                on_path.discard(task.name)
                done.add(task.name)
                yield task


def _cycle(path: Sequence[Task], source: Task, where: Callable[[Task], str]) -> DAGCycleError:
    """`path` goes against the edges, from a task to what it waits for."""
    names = [task.name for task in path]
    circle = [*names[names.index(source.name) :], source.name]
    return DAGCycleError(
        f"tasks wait for one another in a circle: {' -> '.join(reversed(circle))}",
        where=where(source),
        mend="remove one of these edges",
    )
