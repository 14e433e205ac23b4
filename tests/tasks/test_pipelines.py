"""Task modules as pipelines: the same results as `DAG.run`, under every policy of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fp_events import app, config
from fp_events.domain.errors import ConfigError
from fp_events.domain.pipeline import ExecutorSpec, Pipeline
from fp_events.plans.catalogue import Catalogue
from fp_events.plans.plan import CompiledPlan


class Project:
    """A folder with the pipeline `work`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalogue = Catalogue(root)

    def pipeline(self, source: str, **settings: Any) -> Pipeline:
        """The pipeline, with its module's source."""
        file = self.root / "pipelines" / "work.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"from fp_events import DAG, Task, task\n{source}")
        return Pipeline(name="work", module="pipelines.work", **settings)

    def plan(self, source: str, **settings: Any) -> CompiledPlan:
        """Its plan."""
        plan = self.catalogue.plan(self.pipeline(source, **settings))
        assert isinstance(plan, CompiledPlan)
        return plan


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


CHAIN = """
def helper(values):
    return [2 * value for value in values]

@task
def extract(reading: int, factor: int = 3) -> list:
    return [reading, factor]

@task
def transform(rows: list):
    return helper(rows)

@task
def load(rows):
    return sum(rows)

extract >> transform >> load
dag = DAG("chain")
"""

BRANCHES = """
@task
def size(n: int):
    return n

@task(when=lambda n: n > 10)
def large(n):
    return f"large {n}"

@task(when=lambda n: n <= 10)
def small(n):
    return f"small {n}"

@task
def report(text):
    return text.upper()

@task
def both(a, b=None):
    return [a, b]

@task
def strict(a, b):
    return [a, b]

@task
def gathered(*texts):
    return len(texts)

size >> [large, small]
[large, small] >> report
[large, small] >> both
[large, small] >> strict
[size, large, small] >> gathered
dag = DAG("branches")
"""


def test_tasks_are_nodes_and_functions_are_helpers(project: Project) -> None:
    """What no edge fills comes from outside; what nothing waits for is returned."""
    plan = project.plan(CHAIN)

    assert ({"reading": True, "factor": False}, ("load",)) == (dict(plan.inputs), tuple(plan.outputs))
    assert {"load": 8} == plan.execute({"reading": 1})
    assert {"load": 4} == plan.execute({"reading": 1, "factor": 1})
    assert ["extract", "transform", "load"] == list(plan.selection.order)


@pytest.mark.parametrize("n", [5, 50])
def test_branches_merge_as_in_a_dag(project: Project, n: int) -> None:
    """The plan's values are those of `DAG.run`, with the same tasks left out."""
    names = ("size", "large", "small", "report", "both", "strict", "gathered")
    plan = project.plan(BRANCHES, final_vars=names)
    dag = plan.selection.graph.module.dag

    assert dag.run(inputs={"n": n}) == plan.execute({"n": n})
    assert ("LARGE 50" if n == 50 else "SMALL 5") == plan.execute({"n": n})["report"]


def test_what_happened_is_traced(project: Project) -> None:
    """Skips, retries and values by node."""
    source = """
calls = []
@task(retries=2, delay=0)
def flaky(n):
    calls.append(n)
    if len(calls) < 3:
        raise OSError("busy")
    return n
@task(when=lambda n: n > 10)
def large(n):
    return n
flaky >> large
"""
    traced = project.plan(source).traced()
    assert {} == traced.execute({"n": 1})
    assert [("flaky", "succeeded", 3), ("large", "skipped", 0)] == [
        (record.node, record.status, record.attempts) for record in traced.nodes()
    ]


def test_an_error_names_its_task(project: Project) -> None:
    """It passes unchanged, as of any function."""
    plan = project.plan("@task(retries=1, delay=0)\ndef broken(n):\n    raise KeyError(n)\n")

    with pytest.raises(KeyError) as error:
        plan.execute({"n": 1})

    assert "broken" == plan.failed_node(error.value)


async def test_async_tasks_run_at_the_same_time(project: Project) -> None:
    """With conditions and timeouts as ordinary ones have them."""
    source = """
import asyncio
met = asyncio.Event()
@task
async def first(n):
    await met.wait()
    return n
@task(timeout=20)
async def second(n):
    met.set()
    await asyncio.sleep(0)
    return n + 1
@task(when=lambda a, b: a < b)
async def both(a, b):
    return [a, b]
@task(timeout=0.01)
async def slow(n):
    await asyncio.Event().wait()
[first, second] >> both
"""
    plan = project.plan(source, final_vars=("both",))
    assert {"both": [1, 2]} == await plan.execute_async({"n": 1})

    with pytest.raises(TimeoutError, match=r"'slow' took longer than 10ms"):
        await project.catalogue.plan(project.pipeline(source, final_vars=("slow",))).execute_async({"n": 1})


PARALLEL = """
from threading import Barrier
both = Barrier(2, timeout=20)
@task
def fetch(n):
    return n
@task
def a(n):
    both.wait()
    return n + 1
@task
def b(n):
    both.wait()
    return n + 2
@task
def total(a, b):
    if a < 0:
        raise ValueError(a)
    return a + b
fetch >> [a, b] >> total
dag = DAG("parallel", max_workers=2)
"""


def test_branches_run_in_threads_where_the_dag_asks_for_workers(project: Project) -> None:
    """Each waits for the other one; traces and errors are those of a straight plan."""
    plan = project.plan(PARALLEL)
    assert {"total": 5} == plan.execute({"n": 1})

    traced = plan.traced()
    assert {"total": 5} == traced.execute({"n": 1})
    assert {"fetch", "a", "b", "total"} == {record.node for record in traced.nodes()}
    with pytest.raises(ValueError, match="-9") as error:
        plan.execute({"n": -10})
    assert "total" == plan.failed_node(error.value)


def test_an_error_in_a_branch_waits_for_the_others(project: Project) -> None:
    """Nothing of a failed attempt goes on beside the next one, and nothing new is begun."""
    source = """
from threading import Event
failed, done = Event(), []
@task
def broken(n):
    try:
        raise ValueError("first")
    finally:
        failed.set()
@task
def slow(n):
    failed.wait(20)
    done.append("slow")
@task
def after(x):
    done.append("after")
slow >> after
dag = DAG("failing", max_workers=2)
"""
    plan = project.plan(source)
    with pytest.raises(ValueError, match="first") as error:
        plan.execute({"n": 1})
    assert "broken" == plan.failed_node(error.value)
    assert ["slow"] == plan.selection.graph.module.done


@pytest.mark.parametrize(
    ("executor", "workers", "expected"),
    [(None, 4, 4), ("threadpool", 4, 3), ("processpool", 2, 2), ("local", 4, 0), (None, None, 0)],
)
def test_branches_keep_to_the_executor(project: Project, executor: Any, workers: int | None, expected: int) -> None:
    """At most the executor's `max_workers` at a time; one after the other under `local`, and where no DAG asks."""
    source = PARALLEL.replace("max_workers=2", f"max_workers={workers}")
    spec = None if executor is None else ExecutorSpec(type=executor, max_workers=3)
    assert expected == project.plan(source, executor=spec).branches


def test_the_version_is_made_of_tasks_and_what_is_around_them(project: Project) -> None:
    """Functions, helpers, conditions, retries and edges count; names of variables and comments do not."""
    source = (
        BRANCHES
        + "def helper(x):\n    return x\n@task(retries=2)\ndef last(x):\n    return helper(x)\nreport >> last\n"
    )
    changes = {
        "same": ("dag = DAG", "# the DAG\nother = DAG"),
        "function": ('f"large {n}"', 'f"LARGE {n}"'),
        "helper": ("    return x\n@task(ret", "    return x + x\n@task(ret"),
        "condition": ("n > 10", "n > 11"),
        "retries": ("retries=2", "retries=3"),
        "default": ("b=None", "b=0"),
        "optional": ("def strict(a, b)", "def strict(a, b: int | None)"),
        "edges": ("[large, small] >> both", "[small, large] >> both"),
    }
    versions = {"": project.plan(source).ref.version}
    for name, (old, new) in changes.items():
        assert old in source
        versions[name] = Project(project.root).plan(source.replace(old, new)).ref.version

    assert versions.pop("same") == versions[""]
    assert len(versions) == len(set(versions.values()))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "@task\ndef a(x):\n    return x\n@task\ndef b(x):\n    return x\na >> b >> a\n",
            "pipelines/work.py:3: tasks wait for one another in a circle: a -> b -> a; remove one of these edges",
        ),
        (
            "@task\ndef a():\n    return 1\n@task\ndef a():\n    return 2\n",
            (
                "pipelines/work.py:6: two tasks are called 'a': the other one is at pipelines/work.py:3; "
                "rename one of them, or give it a name: @task(name='…')"
            ),
        ),
        (
            "@task\ndef a() -> int:\n    return 1\n@task\ndef b(text: str):\n    return text\na >> b\n",
            "pipelines/work.py:6: task 'b' takes 'text' as str, but 'a' gives int; make the two type hints agree",
        ),
        (
            "@task\ndef a(n: int):\n    return 1\n@task\ndef b(n: str):\n    return n\n",
            "pipelines/work.py:6: input 'n' is int for task 'a' and str for task 'b'; make the two type hints agree",
        ),
        (
            "@task\ndef a():\n    return 1\n@task\ndef b():\n    return 1\n@task\ndef c(x):\n    return x\n[a, b] >> c\n",
            (
                "pipelines/work.py:9: task 'c' takes 1 argument, but 2 edges lead to it, from 'a' and 'b'; "
                "give it a parameter for each, or *values"
            ),
        ),
        (
            "@task(retries=-1)\ndef a():\n    return 1\n",
            (
                "pipelines/work.py:2: module 'pipelines.work' cannot be imported: FlowkitError: "
                "`retries` of task 'a' is a whole number from 0, not -1; mend the module"
            ),
        ),
        (
            "@task\ndef a():\n    return 1\nDAG('x').run()\n",
            (
                "pipelines/work.py:5: module 'pipelines.work' cannot be imported: FlowkitError: DAG 'x' runs when its module "
                'is imported; put the call under `if __name__ == "__main__":`; mend the module'
            ),
        ),
    ],
)
def test_wrong_modules_are_refused(project: Project, source: str, says: str) -> None:
    """By `check` and by `serve`, with the line."""
    with pytest.raises(ConfigError) as error:
        project.plan(source)
    assert says == str(error.value)
    assert [says] == [str(problem) for problem in project.catalogue.check(project.pipeline(source))]


def test_what_stands_around_a_task_is_shown_and_checked(project: Project) -> None:
    """As of any marked function: in pictures, and where it would hold up the daemon's loop."""
    source = """
def is_high(n):
    return n > 10
@task(when=is_high, retries=2, timeout="5s")
def guarded(n):
    return n
@task(timeout="5s")
async def awaited(n):
    return n
"""
    pipeline = project.pipeline(source, executor=ExecutorSpec(type="local"))

    marks = {node.name: node.marks for node in project.catalogue.nodes(pipeline) if not node.is_input}
    assert {"guarded": ("when is_high", "retry 3", "timeout 5s"), "awaited": ("timeout 5s",)} == marks
    (problem,) = project.catalogue.check(pipeline)
    assert "@timeout of 'guarded', which is not async, would wait on the daemon's own loop" == problem.what
    assert ("pipelines/work.py:6", True) == (problem.where, problem.warning)


def test_a_configuration_key_replaces_a_task(project: Project) -> None:
    """As it replaces a function."""
    assert {"load": 9} == project.plan(CHAIN, config={"transform": [4, 5]}, final_vars=("load",)).execute({})


@pytest.mark.parametrize("executor", ["local", "threadpool", "processpool"])
def test_a_task_module_runs_under_every_executor(tmp_path: Path, executor: str) -> None:
    """In the foreground, with the values that a daemon would publish."""
    files = {
        "conf/project.yml": "name: plant\n",
        "conf/pipelines/work.yml": "outputs: [report, both]\nrun: {executor: {type: %s}}\n" % executor,  # noqa: UP031 (braces)
        "pipelines/work.py": f"from fp_events import DAG, Task, task\n{BRANCHES}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    report = app.run_pipeline(config.load(tmp_path, environ={}), app.Call(pipeline="work", inputs={"n": 50}))

    assert {"report": "LARGE 50", "both": ["large 50", None]} == dict(report.values)
    assert {"small": "skipped", "large": "succeeded"}.items() <= {
        each.node: each.status for each in report.trace
    }.items()
