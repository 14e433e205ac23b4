"""Which tasks a DAG takes that is not told, and what is wrong with them."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from fp_events import DAG, DAGCycleError, DuplicateTaskError, Task, TaskNotFoundError, task


def one() -> int:
    return 1


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleWriter:
    """Makes modules of source."""
    monkeypatch.chdir(tmp_path)
    return ModuleWriter(tmp_path)


class ModuleWriter:
    """Files that are imported afresh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, source: str) -> ModuleType:
        """The module of that source."""
        path = self.folder / f"{name}.py"
        path.write_text("from fp_events import DAG, Task, task\n" + textwrap.dedent(source))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def names(dag: DAG) -> set[str]:
    return {each.name for each in dag.tasks}


def test_a_dag_takes_the_tasks_of_its_module(written: ModuleWriter) -> None:
    """Those made before it, held or not; those of other modules where they are waited for."""
    sys.modules["other_tasks"] = written(
        "other_tasks", "far = Task(lambda: 1, name='far')\nalone = Task(lambda: 1, name='alone')\n"
    )
    try:
        module = written(
            "mine",
            """
            from other_tasks import far, alone

            def make(name):
                return Task(lambda x: x, name=name)

            @task
            def first(x):
                return x

            [task(name=f"listed{number}")(lambda: 1) for number in range(2)]
            held = {"made": make("made")}
            far >> [first, held["made"]]
            dag = DAG("mine")

            def in_a_function():
                return DAG("inner")
            """,
        )
    finally:
        del sys.modules["other_tasks"]

    assert {"first", "listed0", "listed1", "made", "far"} == names(module.dag) == names(module.in_a_function())


def test_a_function_has_tasks_of_its_own() -> None:
    """Its variables hold them, also in a list; a second call has others."""

    def build(count: int) -> DAG:
        @task
        def total(*values: int) -> int:
            return sum(values)

        parts = [task(name=f"part{number}")(one) for number in range(count)]
        parts >> total
        return DAG("built")

    first, second = build(3), build(2)

    assert ({"part0", "part1", "part2", "total"}, {"part0", "part1", "total"}) == (names(first), names(second))
    assert (3, 2) == (first.run()["total"], second.run()["total"])


def test_a_module_that_is_run_again_starts_anew(written: ModuleWriter) -> None:
    """Nothing of its first life counts."""
    module = written("again", "a = Task(lambda: 1, name='a')\nb = Task(lambda: 1, name='b')\ndag = DAG('again')\n")
    (written.folder / "again.py").write_text(
        "from fp_events import DAG, Task\na = Task(lambda: 2, name='a')\ndag = DAG('again')\n"
    )
    assert {"a", "b"} == names(module.dag)

    assert module.__spec__ is not None
    assert module.__spec__.loader is not None
    module.__spec__.loader.exec_module(module)

    assert {"a": 2} == module.dag.run()


def test_a_notebook_defines_tasks_again() -> None:
    """Piece by piece in one namespace, the newest of a name counts."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    cells = [
        "from fp_events import DAG, task",
        "@task\ndef a():\n    return 1",
        "@task\ndef a():\n    return 2",
        "results = DAG('notebook').run()",
    ]
    for number, cell in enumerate(cells):
        exec(compile(cell, f"<cell {number}>", "exec"), namespace)

    assert {"a": 2} == namespace["results"]


def test_clear_registry_forgets_a_modules_tasks(written: ModuleWriter) -> None:
    """Those made so far."""
    module = written(
        "cleared",
        "a = Task(lambda: 1, name='a')\nTask.clear_registry()\nb = Task(lambda: 1, name='b')\ndag = DAG('x')\n",
    )
    assert {"b"} == names(module.dag)


def test_tasks_may_be_given() -> None:
    """Then nothing else is taken."""
    tasks = [Task(one, name="a"), Task(one, name="b")]
    assert {"a": 1} == DAG("given", tasks=tasks[:1]).run()
    assert {"a": 1, "b": 1} == DAG("held").run()


def test_a_circle_is_told_with_its_path(written: ModuleWriter) -> None:
    """In the direction of the edges, with the line of its first task, before anything runs."""
    module = written(
        "circle",
        """
        @task
        def start():
            return 1

        @task
        def a(x, y):
            return x

        @task
        def b(x):
            return x

        start >> a >> b >> a
        dag = DAG("circle")
        """,
    )
    with pytest.raises(DAGCycleError) as error:
        module.dag.run()

    assert "circle.py:8: tasks wait for one another in a circle: a -> b -> a; remove one of these edges" == str(
        error.value
    )


def test_a_task_that_waits_for_itself_is_a_circle() -> None:
    """The shortest one."""
    a = Task(lambda x: x, name="a")
    a >> a
    with pytest.raises(DAGCycleError, match="in a circle: a -> a; remove"):
        DAG("self").run()


def test_a_chain_of_thousands_runs() -> None:
    """No recursion anywhere."""
    tasks = [Task(one, name="t0"), *(Task(lambda x: x + 1, name=f"t{number}") for number in range(1, 2000))]
    for before, after in itertools.pairwise(tasks):
        before >> after

    assert 2000 == DAG("long", tasks=tasks).run()["t1999"]


def test_a_missing_task_is_told(written: ModuleWriter) -> None:
    """By the name of who waits, and with the nearest name there is."""
    module = written(
        "missing",
        """
        @task
        def extract():
            return 1

        @task
        def extracted():
            return 2

        @task
        def load(x):
            return x

        extract >> load
        lonely = DAG("lonely", tasks=[load])
        near = DAG("near", tasks=[load, extracted])
        """,
    )
    with pytest.raises(TaskNotFoundError) as error:
        module.lonely.run()
    assert (
        "missing.py:12: task 'load' waits for 'extract', which is not among the tasks of the DAG; "
        "add 'extract' to its tasks"
    ) == str(error.value)
    with pytest.raises(TaskNotFoundError, match=r"add 'extract', or did you mean 'extracted'\?"):
        module.near.run()


def test_two_tasks_of_one_name_are_told(written: ModuleWriter) -> None:
    """With both their lines, though a variable holds the last one only."""
    module = written(
        "twice",
        """
        @task
        def load():
            return 1

        @task
        def load():
            return 2

        dag = DAG("twice")

        def inside():
            @task
            def here():
                return 1

            @task
            def here():
                return 2

            return DAG("inside")
        """,
    )
    with pytest.raises(DuplicateTaskError) as error:
        module.dag.run()
    assert (
        "twice.py:8: two tasks are called 'load': the other one is at twice.py:4; "
        "rename one of them, or give it a name: @task(name='…')"
    ) == str(error.value)
    with pytest.raises(DuplicateTaskError, match="two tasks are called 'here'"):
        module.inside().run()


def test_an_edge_from_a_replaced_task_is_told() -> None:
    """The DAG has the new one, the edge comes from the old one."""
    old, new, load = Task(one, name="a"), Task(one, name="a"), Task(lambda x: x, name="load")
    old >> load
    with pytest.raises(
        DuplicateTaskError, match=r"waits for a task 'a' at .*, but the DAG has another one of that name"
    ):
        DAG("replaced", tasks=[new, load]).run()


def test_the_errors_stand_in_one_tree() -> None:
    """Each is a FlowkitError; what is wrong with a DAG is a ConfigError, a failed task a RunFailed."""
    from fp_events import FlowkitError, TaskExecutionError
    from fp_events.domain.errors import ConfigError, FpEventsError, RunFailed

    for kind in (DAGCycleError, TaskNotFoundError, DuplicateTaskError):
        assert issubclass(kind, FlowkitError)
        assert issubclass(kind, ConfigError)
        assert 78 == kind.exit_code
    assert issubclass(TaskExecutionError, FlowkitError)
    assert issubclass(TaskExecutionError, RunFailed)
    assert 1 == TaskExecutionError.exit_code
    assert issubclass(FlowkitError, FpEventsError)


def test_errors_survive_pickling() -> None:
    """They come from other processes too."""
    import pickle

    from fp_events import TaskExecutionError

    execution = TaskExecutionError("it raised", where="x.py:1", task_name="a", attempts=2)
    cycle = DAGCycleError("a circle", where="x.py:1", mend="break it")

    copies = [pickle.loads(pickle.dumps(error)) for error in (execution, cycle)]

    assert [str(execution), str(cycle)] == [str(copy) for copy in copies]
    assert ("a", 2) == (copies[0].task_name, copies[0].attempts)


def test_importing_the_names_is_cheap() -> None:
    """`from fp_events import task, DAG` loads neither Hamilton nor structlog nor rich."""
    code = (
        "import sys; from fp_events import task, DAG, StateManager, TaskCache, FlowkitLogger; "
        "print({'hamilton', 'pandas', 'structlog', 'rich', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "set()" == done.stdout.strip()
