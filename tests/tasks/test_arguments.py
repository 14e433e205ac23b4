"""How arguments bind, and what becomes of them where branches were skipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import pytest

from fp_events import DAG, FlowkitError, Task, TaskExecutionError, TaskNotFoundError, task


def value(name: str, given: Any, *, runs: bool = True) -> Task:
    """A task of that name and value, which runs or is skipped."""
    return Task(lambda: given, name=name, when=None if runs else lambda: False)


def run(tasks: list[Task], function: Callable[..., Any], **settings: Any) -> Any:
    """What the last task makes of the others; ``skipped`` where it does not run."""
    last = Task(function, name="last", **settings)
    tasks >> last
    return DAG("arguments", tasks=[*tasks, last]).run().get("last", "skipped")


def test_edges_fill_parameters_in_the_order_in_which_they_were_drawn() -> None:
    """Their names do not matter."""

    def last(first: int, second: int, third: int) -> list[int]:
        return [first, second, third]

    assert [3, 1, 2] == run([value("c", 3), value("a", 1), value("b", 2)], last)


def test_parameters_without_an_edge_are_inputs_by_name() -> None:
    """Those with a default may be left out."""

    @task
    def load(rows: list[int], table: str, *, limit: int = 2) -> tuple[str, list[int]]:
        return table, rows[:limit]

    rows = value("rows_of_today", [1, 2, 3])
    rows >> load
    dag = DAG("inputs", tasks=[rows, load])

    assert {"table": True, "limit": False} == dag.inputs
    assert ("t", [1, 2]) == dag.run(inputs={"table": "t"})["load"]
    assert ("t", [1]) == dag.run(inputs={"table": "t", "limit": 1})["load"]
    with pytest.raises(
        FlowkitError, match="DAG 'inputs' needs a value for 'table', which task 'load' takes; write run"
    ):
        dag.run()
    with pytest.raises(FlowkitError, match=r"DAG 'inputs' takes no input 'tabel'; did you mean 'table'\?"):
        dag.run(inputs={"tabel": "t", "table": "t"})


def test_a_parameter_that_is_called_like_a_task_needs_an_edge() -> None:
    """One with a default keeps it: a name is no edge."""

    def last(x: int, rate: int = 7) -> int:
        return x * rate

    def needs(x: int, rate: int) -> int:
        return x * rate

    amount, rate = value("amount", 2), value("rate", 3)
    only = Task(last, name="only")
    amount >> only
    assert 14 == DAG("names", tasks=[amount, rate, only]).run()["only"]

    broken = Task(needs, name="broken")
    amount >> broken
    with pytest.raises(
        TaskNotFoundError, match=r"'broken' takes 'rate', which is a task, but .*; write rate >> broken"
    ):
        DAG("names", tasks=[amount, rate, broken]).run()


def optional(a: Any, b: int | None) -> Any:
    return [a, b]


def older(a: Any, b: Optional[int]) -> Any:  # noqa: UP045 (both forms are written)
    return [a, b]


def quoted(a: Any, b: "int | None") -> Any:  # noqa: UP037 (annotations of a module without the import are text, too)
    return [a, b]


def defaulted(a: Any, b: int = 7) -> Any:
    return [a, b]


def strict(a: Any, b: int) -> Any:
    return [a, b]


def untyped(a, b):  # type: ignore[no-untyped-def]  # what the test is about
    return [a, b]


def gathered(*values: Any) -> Any:
    return list(values)


def headed(a: Any, *rest: Any) -> Any:
    return [a, *rest]


def single(a: Any) -> Any:
    return [a]


def ordered() -> Any:
    return "in order"


@pytest.mark.parametrize(
    ("function", "first", "second", "expected"),
    [
        (optional, True, True, [1, 2]),
        (optional, True, False, [1, None]),
        (optional, False, True, "skipped"),
        (older, True, False, [1, None]),
        (quoted, True, False, [1, None]),
        (defaulted, True, False, [1, 7]),
        (strict, True, False, "skipped"),
        (untyped, True, False, "skipped"),
        (gathered, True, True, [1, 2]),
        (gathered, False, True, [2]),
        (gathered, False, False, "skipped"),
        (headed, True, False, [1]),
        (headed, False, True, "skipped"),
        (single, True, False, [1]),
        (single, False, True, [2]),
        (single, False, False, "skipped"),
        (ordered, True, True, "in order"),
        (ordered, False, True, "in order"),
        (ordered, False, False, "skipped"),
    ],
)
def test_skipped_branches(function: Callable[..., Any], first: bool, second: bool, expected: Any) -> None:
    """The table of docs/tasks.md."""
    assert expected == run([value("a", 1, runs=first), value("b", 2, runs=second)], function)


def test_none_is_a_value() -> None:
    """A branch that ran and gave None fills the parameter."""
    assert [None] == run([value("a", None), value("b", 2, runs=False)], single)


def test_more_branches_than_parameters_are_told_when_they_ran() -> None:
    """Only then is it known."""
    skippable = Task(lambda: 2, name="b", when=lambda: True)

    with pytest.raises(TaskExecutionError, match="task 'last' takes 1 argument, but 'a' and 'b' all ran; give it a"):
        run([value("a", 1), skippable], single)


def test_more_edges_than_parameters_are_refused_where_nothing_is_skipped() -> None:
    """Before anything runs."""
    ran = []
    a = Task(lambda: ran.append(1), name="a")

    with pytest.raises(FlowkitError, match="task 'last' takes 1 argument, but 2 edges lead to it, from 'a' and 'b'"):
        run([a, value("b", 2)], single)
    assert [] == ran


def test_a_skip_goes_down_a_chain() -> None:
    """Whatever needs a skipped task is skipped."""

    @task(when=lambda x: x > 10)
    def second(x: int) -> int:
        return x

    third, fourth = Task(single, name="third"), Task(single, name="fourth")
    first = value("first", 1)
    first >> second >> third >> fourth

    results = DAG("chain", tasks=[first, second, third, fourth]).run()

    assert {"first": 1} == results
    assert ("second", "third", "fourth") == results.skipped


def test_when_gets_the_arguments_of_its_task() -> None:
    """All by position, or some by name."""
    two = [value("a", 1), value("b", 2)]

    assert [1, 2] == run(two, strict, when=lambda x, y: x < y)
    assert [1, 2] == run([value("a", 1), value("b", 2)], strict, when=lambda b: b == 2)
    assert "skipped" == run([value("a", 1), value("b", 2)], strict, when=lambda *given: sum(given) > 3)
    assert [1, 7] == run([value("a", 1)], defaulted, when=lambda a, b: (a, b) == (1, 7))


def test_a_when_that_does_not_fit_is_refused() -> None:
    """Before anything runs."""
    with pytest.raises(FlowkitError, match="`when` takes 'x', but its task gets 2 arguments; let it take the same"):
        run([value("a", 1), value("b", 2)], strict, when=lambda x: x > 1)


def test_a_when_that_raises_fails_its_task() -> None:
    """Like the function itself."""
    with pytest.raises(TaskExecutionError, match="task 'last' of DAG 'arguments' raised ZeroDivisionError"):
        run([value("a", 0)], single, when=lambda a: 1 / a > 0)


def test_the_approval_workflow() -> None:
    """One of two branches runs, and what merges them takes its value."""

    @task
    def transform() -> int:
        return 3600

    @task(when=lambda size: size > 2000)
    def manual(size: int) -> str:
        return "MANUAL_APPROVAL"

    @task(when=lambda size: size <= 2000)
    def auto(size: int) -> str:
        return "AUTO_APPROVED"

    @task
    def load(size: int, manual: str | None = None, auto: str | None = None) -> str:
        return f"{size} with {manual or auto}"

    transform >> [manual, auto]
    [transform, manual, auto] >> load

    results = DAG("approval").run()

    assert {"transform": 3600, "manual": "MANUAL_APPROVAL", "load": "3600 with MANUAL_APPROVAL"} == results
