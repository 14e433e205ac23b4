"""What is wrong with a module is said with file and line."""

from __future__ import annotations

import pytest

from fp_events.domain.errors import ConfigError
from fp_events.domain.pipeline import Output

from .projects import Project


def refused(project: Project, source: str, **settings: object) -> ConfigError:
    """The error of compiling `source`."""
    with pytest.raises(ConfigError) as caught:
        project.catalogue.plan(project.pipeline(source, **settings))
    return caught.value


def test_a_missing_module(project: Project) -> None:
    """The file to create is named."""
    with pytest.raises(ConfigError) as caught:
        project.catalogue.plan(project.pipeline())
    assert "pipelines/work.py: there is no module 'pipelines.work'" == str(caught.value).partition(";")[0]


def test_a_syntax_error(project: Project) -> None:
    """Its line is named."""
    error = refused(project, "def a(x: int) -> int:\n    return x +\n")
    assert "pipelines/work.py:2" == error.where
    assert "invalid syntax" in error.what


def test_an_error_at_import(project: Project) -> None:
    """The line of the project that raised is named, be it in a helper."""
    project.write("pipelines/common.py", "LIMIT = int('many')\n")
    error = refused(project, "\n\nfrom pipelines.common import LIMIT\n")
    assert "pipelines/common.py:1" == error.where
    assert "ValueError" in error.what


def test_a_missing_library(project: Project) -> None:
    """The import statement is named, and what it asks for."""
    error = refused(project, "LIMIT = 1\nimport no_such_library\n")
    assert "pipelines/work.py:2" == error.where
    assert "'no_such_library'" in error.what


def test_a_mended_module_is_imported_again(project: Project) -> None:
    """A failed import leaves nothing behind, also of its helpers."""
    project.write("pipelines/common.py", "LIMIT = 1\n")
    refused(project, "from pipelines.common import LIMIT\n1 / 0\n")
    project.write("pipelines/common.py", "LIMIT = 2\n")
    source = """
        from pipelines.common import LIMIT

        def limit(x: int) -> int:
            return LIMIT + x
    """
    assert {"limit": 3} == project.catalogue.plan(project.pipeline(source)).execute({"x": 1})


def test_every_untyped_function_is_named(project: Project) -> None:
    """One problem each, with what lacks a type hint."""
    source = """
        def a(x, y: int) -> int:
            return x

        def b(a: int):
            return a

        shout = lambda text: text.upper()
    """
    error = refused(project, source)
    assert [
        ("pipelines/work.py:1", "function 'a' has no type hint for 'x'"),
        ("pipelines/work.py:4", "function 'b' has no type hint for its result"),
        ("pipelines/work.py:7", "'shout' cannot become a node: it is a lambda, and a node needs type hints"),
    ] == [(problem.where, problem.what) for problem in error.problems]


def test_a_decorated_function_is_named_by_its_def(project: Project) -> None:
    """Not by the line of its first decorator."""
    source = """
        from hamilton.function_modifiers import tag

        @tag(owner="a")
        @tag(owner="b")
        def a(x) -> int:
            return x
    """
    assert "pipelines/work.py:5" == refused(project, source).where


def test_a_type_hint_that_does_not_exist(project: Project) -> None:
    """The function is named."""
    error = refused(project, "def a(x: 'Missing') -> int:\n    return x\n")
    assert "pipelines/work.py:1" == error.where
    assert "Missing" in error.what


def test_a_cycle_is_spelled_out(project: Project) -> None:
    """Anywhere in the module, whether asked for or not."""
    source = """
        def fine(x: int) -> int:
            return x

        def a(c: int) -> int:
            return c

        def b(a: int) -> int:
            return a

        def c(b: int) -> int:
            return b
    """
    error = refused(project, source, final_vars=("fine",))
    assert "functions need one another in a circle: a -> c -> b -> a" == error.what
    assert "pipelines/work.py:4" == error.where


def test_two_functions_of_one_name(project: Project) -> None:
    """Both places are named."""
    source = """
        from hamilton.function_modifiers import extract_fields

        @extract_fields({"total": int})
        def fields(x: int) -> dict:
            return {"total": x}

        def total(x: int) -> int:
            return x
    """
    error = refused(project, source)
    assert "'total' is defined twice, also at pipelines/work.py:4" == error.what
    assert "pipelines/work.py:7" == error.where


def test_types_of_two_functions_that_do_not_fit(project: Project) -> None:
    """Giver, taker and their hints are named."""
    source = """
        class Reading:
            pass

        def a(x: int) -> Reading:
            return Reading()

        def b(a: str) -> int:
            return len(a)
    """
    error = refused(project, source)
    assert "'b' takes 'a' as str, but 'a' gives Reading at pipelines/work.py:4" == error.what
    assert "pipelines/work.py:7" == error.where


def test_unknown_names_get_the_nearest(project: Project) -> None:
    """`final_vars`, `outputs` and `state` are all looked through."""
    source = """
        def average(x: int) -> int:
            return x
    """
    error = refused(
        project,
        source,
        final_vars=("avrage",),
        outputs=(Output(node="averages", where="conf/pipelines/work.yml:9"),),
        state={"nothing": "x"},
    )
    missing = "but module 'pipelines.work' has no such function"
    assert [
        ("conf/pipelines/work.yml", f"`run.final_vars` names 'avrage', {missing}", "did you mean 'average'?"),
        ("conf/pipelines/work.yml:9", f"`outputs` names 'averages', {missing}", "did you mean 'average'?"),
        (
            "conf/pipelines/work.yml",
            f"`state` names 'nothing', {missing}",
            "add a function 'nothing' to pipelines/work.py",
        ),
    ] == [(problem.where, problem.what, problem.mend) for problem in error.problems]


def test_an_unknown_override(project: Project) -> None:
    """It is refused, where Hamilton's driver passes over it."""
    pipeline = project.pipeline("def average(x: int) -> int:\n    return x\n")
    with pytest.raises(ConfigError, match=r"'avrage' cannot be overridden.*did you mean 'average'"):
        project.catalogue.plan(pipeline, overrides=["avrage"])


def test_configuration_that_a_decorator_lacks(project: Project) -> None:
    """The function and the key are named."""
    source = """
        from hamilton.function_modifiers import ResolveAt, resolve, tag

        @resolve(when=ResolveAt.CONFIG_AVAILABLE, decorate_with=lambda owner: tag(owner=owner))
        def a(x: int) -> int:
            return x
    """
    error = refused(project, source, config={"hamilton.enable_power_user_mode": True})
    assert "pipelines/work.py:4" == error.where
    assert "owner" in error.what


def test_async_functions_beside_parallelizable_ones(project: Project) -> None:
    """The driver would not await them, so the plan is refused."""
    source = """
        from hamilton.htypes import Collect, Parallelizable

        def item(x: int) -> Parallelizable[int]:
            yield from range(x)

        async def fetched(item: int) -> int:
            return item

        def total(fetched: Collect[int]) -> int:
            return sum(fetched)
    """
    error = refused(project, source)
    assert "pipelines/work.py:3" == error.where
    assert "async" in error.what
