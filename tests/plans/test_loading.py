"""Modules, their versions, and what importing costs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fp_events.domain.errors import ConfigError
from fp_events.domain.pipeline import Pipeline
from fp_events.plans.catalogue import Catalogue
from fp_events.plans.loading import public_name

from .projects import Project

WORK = """
    import hooks
    from pipelines import common
    from pipelines.common import Missing, Scale, helper
    from . import common as same
    from .deep.inside import CONSTANT

    def scaled(x: int, unused: int = 0) -> int:
        '''A docstring.'''
        if unused:
            raise Missing()
        return helper(x) * CONSTANT + hooks.offset()

    def other(x: int) -> int:
        return -x
"""
COMMON = """
    LIMIT = 10

    class Missing(Exception):
        def __init__(self) -> None:
            super().__init__("it is missing")

    class Scale:
        factor = 2

        def apply(self, x: int) -> int:
            return x * self.factor

    def inner(x: int) -> int:
        return min(LIMIT, Scale().apply(x))

    def helper(x: int) -> int:
        return inner(x) + 1

    def unrelated() -> int:
        return 1
"""


def written(project: Project) -> Pipeline:
    """A module with helpers in every place where one may be."""
    project.write("pipelines/common.py", COMMON)
    project.write("pipelines/deep/inside.py", "CONSTANT = 3\n")
    project.write("hooks.py", "def offset() -> int:\n    return 100\n")
    return project.pipeline(WORK, final_vars=("scaled",))


def version(project: Project, pipeline: Pipeline) -> str:
    """The version as a new process would find it."""
    return Catalogue(project.root).plan(pipeline).ref.version


def test_helpers_are_found_as_users_write_them(project: Project) -> None:
    """Absolute, relative, in packages without __init__, and beside `pipelines/`."""
    assert {"scaled": 121} == project.catalogue.plan(written(project)).execute({"x": 3})


def test_discover_lists_modules(project: Project) -> None:
    """Names beginning with an underscore are hidden."""
    for name in ("temperature", "alarms", "_draft", "__init__"):
        project.write(f"pipelines/{name}.py", "")
    assert ["alarms", "temperature"] == project.catalogue.discover()


def test_two_projects_with_modules_of_one_name(tmp_path: Path) -> None:
    """Neither sees the other's modules."""
    plans = []
    for name in ("one", "two"):
        project = Project(tmp_path / name)
        project.write("pipelines/common.py", f"NAME = {name!r}\n")
        source = "from pipelines.common import NAME\n\n\ndef name(x: int) -> str:\n    return NAME\n"
        plans.append(project.catalogue.plan(project.pipeline(source)))
    assert [{"name": "one"}, {"name": "two"}] == [plan.execute({"x": 1}) for plan in plans]


def test_imports_inside_functions_stay_in_the_project(project: Project) -> None:
    """An import statement that runs late finds the same generation's module, also after a refresh."""
    source = """
        def late(x: int) -> int:
            from pipelines.common import FACTOR
            return x * FACTOR
    """
    project.write("pipelines/common.py", "FACTOR = 2\n")
    plan = project.catalogue.plan(project.pipeline(source))
    assert {"late": 4} == plan.execute({"x": 2})
    project.write("pipelines/common.py", "FACTOR = 333\n")
    assert project.catalogue.refresh()
    assert {"late": 4} == plan.execute({"x": 2})
    assert {"late": 666} == project.catalogue.plan(project.pipeline()).execute({"x": 2})


def test_refresh_sees_deleted_functions(project: Project) -> None:
    """What `importlib.reload` would keep is gone; a plan made before still runs."""
    pipeline = project.pipeline("def a(x: int) -> int:\n    return 1\n\n\ndef b(x: int) -> int:\n    return 2\n")
    before = project.catalogue.plan(pipeline)
    assert not project.catalogue.refresh()
    project.write("pipelines/work.py", "def a(x: int) -> int:\n    return 3\n")
    assert project.catalogue.refresh()
    assert {"a": 3} == project.catalogue.plan(pipeline).execute({"x": 0})
    assert {"a": 1, "b": 2} == before.execute({"x": 0})


def test_old_generations_are_forgotten(project: Project) -> None:
    """With the last plan of a generation its modules leave the process."""
    pipeline = project.pipeline("def a(x: int) -> int:\n    return 1\n")
    plan = project.catalogue.plan(pipeline)
    package = plan.selection.graph.module.__name__.partition(".")[0]
    assert f"{package}.pipelines.work" in sys.modules
    del plan
    project.write("pipelines/work.py", "def a(x: int) -> int:\n    return 22\n")
    project.catalogue.refresh()
    gc.collect()
    assert not [name for name in sys.modules if name.partition(".")[0] == package]


def test_plans_are_cached(project: Project) -> None:
    """The same question gives the same plan; another configuration another one."""
    pipeline = written(project)
    plan = project.catalogue.plan(pipeline)
    assert plan is project.catalogue.plan(pipeline)
    assert plan is not project.catalogue.plan(pipeline, config={"mode": ["a"]})
    assert plan is not project.catalogue.plan(pipeline, final_vars=["other"])


def test_a_version_is_twelve_digits_and_the_same_in_every_process(project: Project) -> None:
    """Also where hashes of strings differ from process to process."""
    pipeline = project.pipeline("KINDS = {'a', 'b', 'c'}\n\n\ndef a(x: str) -> bool:\n    return x in KINDS\n")
    here = version(project, pipeline)
    code = (
        "import sys; from pathlib import Path; from fp_events.plans.catalogue import Catalogue;"
        "from fp_events.domain.pipeline import Pipeline;"
        "print(Catalogue(Path(sys.argv[1])).plan(Pipeline(name='work', module='pipelines.work')).ref.version)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    done = subprocess.run([sys.executable, "-c", code, project.root], capture_output=True, env=environment, check=True)
    assert here == done.stdout.decode().strip()
    assert 12 == len(here)


def _work(old: str, new: str) -> Callable[[Project], None]:
    return lambda project: _replace(project, "pipelines/work.py", old, new)


def _common(old: str, new: str) -> Callable[[Project], None]:
    return lambda project: _replace(project, "pipelines/common.py", old, new)


def _replace(project: Project, path: str, old: str, new: str) -> None:
    file = project.root / path
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))


@pytest.mark.parametrize(
    "edit",
    [
        _work("* CONSTANT", "+ CONSTANT"),
        _work("x: int, unused: int = 0", "x: int, unused: int = 1"),
        _work("unused: int = 0", "unused: float = 0"),
        _common("LIMIT = 10", "LIMIT = 11"),
        _common("factor = 2", "factor = 4"),
        _common("inner(x) + 1", "inner(x) + 2"),
        _common("x * self.factor", "x + self.factor"),
        _common("it is missing", "it is there"),
        lambda project: _replace(project, "hooks.py", "100", "101"),
        lambda project: _replace(project, "pipelines/deep/inside.py", "3", "4"),
    ],
)
def test_an_edit_that_matters_changes_the_version(project: Project, edit: Callable[[Project], None]) -> None:
    """In the function, its defaults and types, or in what it uses, however far away."""
    pipeline = written(project)
    before = version(project, pipeline)
    edit(project)
    assert before != version(project, pipeline)


@pytest.mark.parametrize(
    "edit",
    [
        _work("'''A docstring.'''", "'''Another one.'''"),
        _work("    return helper", "    # why\n\n    return helper"),
        _work("return -x", "return x"),
        _common("return 1\n", "return 2\n"),
    ],
)
def test_an_edit_that_does_not_matter_keeps_the_version(project: Project, edit: Callable[[Project], None]) -> None:
    """Docstrings, comments, lines, and functions that the plan does not use."""
    pipeline = written(project)
    before = version(project, pipeline)
    edit(project)
    assert before == version(project, pipeline)


def test_configuration_and_steps_are_part_of_the_version(project: Project) -> None:
    """What decorators hold counts like code."""
    source = """
        from hamilton.function_modifiers import pipe_input, step, value

        def _add(x: int, by: int) -> int:
            return x + by

        @pipe_input(step(_add, by=value(1)))
        def a(x: int) -> int:
            return x
    """
    pipeline = project.pipeline(source)
    before = version(project, pipeline)
    _replace(project, "pipelines/work.py", "value(1)", "value(2)")
    changed = version(project, pipeline)
    _replace(project, "pipelines/work.py", "x + by", "x - by")
    assert 3 == len({before, changed, version(project, pipeline)})
    configured = Pipeline(name="work", module="pipelines.work", config={"mode": "b"})
    assert version(project, pipeline) != version(project, configured)


def test_threads_get_one_plan(project: Project) -> None:
    """Eight threads that ask at once share what is compiled."""
    pipeline = written(project)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(project.catalogue.plan(pipeline))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 == len(found)
    assert 1 == len({id(plan) for plan in found})


def test_names_of_classes_are_the_users(project: Project) -> None:
    """`public_name` takes the package of the generation off, and nothing else."""
    plan = project.catalogue.plan(written(project))
    assert "pipelines.work" == public_name(plan.selection.graph.module.__name__)
    assert "requests.exceptions.Timeout" == public_name("requests.exceptions.Timeout")


def test_importing_the_package_is_cheap() -> None:
    """Neither Hamilton nor pandas is imported before the first plan."""
    code = (
        "import sys, fp_events.plans, fp_events.plans.catalogue;"
        "print([name for name in ('hamilton', 'pandas', 'numpy', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert "[]" == done.stdout.decode().strip()


def test_a_folder_called_hamilton_does_not_shadow(project: Project) -> None:
    """Neither in the working directory nor in the project."""
    project.write("hamilton/__init__.py", "raise RuntimeError('wrong')\n")
    project.pipeline(
        "from hamilton.function_modifiers import tag\n\n\n@tag(a='b')\ndef a(x: int) -> int:\n    return x\n"
    )
    code = (
        "from pathlib import Path; from fp_events.plans.catalogue import Catalogue;"
        "from fp_events.domain.pipeline import Pipeline;"
        "print(Catalogue(Path()).plan(Pipeline(name='work', module='pipelines.work')).execute({'x': 1}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=project.root, check=False)
    assert "{'a': 1}" == done.stdout.decode().strip(), done.stderr.decode()


def test_no_bytecode_is_written_into_the_project(project: Project) -> None:
    """A .pyc would be taken for fresh when two edits fall into one second."""
    project.catalogue.plan(written(project))
    assert [] == list(project.root.rglob("*.pyc"))


def test_a_failing_node_logs_nothing(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Hamilton's boxed traceback and its advertisement stay away, through the driver as well."""
    source = """
        from hamilton.htypes import Collect, Parallelizable

        def item(x: int) -> Parallelizable[int]:
            yield from range(x)

        def inverse(item: int) -> float:
            return 1 / item

        def total(inverse: Collect[float]) -> float:
            return sum(inverse)
    """
    plan = project.catalogue.plan(project.pipeline(source))
    with pytest.raises(ZeroDivisionError) as caught:
        plan.execute({"x": 2})
    assert plan.through_driver
    assert "inverse" == plan.failed_node(caught.value)
    assert [] == caplog.records


def test_a_file_that_was_missing_is_found_once_it_is_there(project: Project) -> None:
    """A failed import does not settle what belongs to the project."""
    source = "import helpers\n\n\ndef a(x: int) -> int:\n    return helpers.double(x)\n"
    with pytest.raises(ConfigError, match="'helpers'"):
        project.catalogue.plan(project.pipeline(source))
    project.write("helpers.py", "def double(x: int) -> int:\n    return 2 * x\n")
    assert {"a": 4} == project.catalogue.plan(project.pipeline()).execute({"x": 2})
