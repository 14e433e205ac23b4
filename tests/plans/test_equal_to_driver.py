"""Plans give the values that Hamilton's own driver gives."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fp_events.domain.pipeline import Pipeline
from fp_events.plans.catalogue import Catalogue

from .comparing import compare, same
from .decorators import BROKEN, all_decorators, used_in
from .projects import Project

ROOT = Path(__file__).parents[2]
POWER_USER = {"hamilton.enable_power_user_mode": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A module with what it is run on."""

    module: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    asynchronous: bool = False
    through_driver: bool = False
    #: Nodes that fail, the same way by both.
    failing: int = 0

    def __str__(self) -> str:
        return "-".join([self.module, *map(str, self.config.values()), *self.inputs, *self.overrides])


CASES = [
    Case(module="plain", inputs={"first": 1}),
    Case(module="plain", inputs={"first": 1, "third": 9}),
    Case(module="plain", inputs={"second": 4, "first": 1, "third": 9}),
    Case(module="plain", inputs={}, failing=4),
    Case(module="parameterized", inputs={"base": 4, "a": "x", "b": "y"}),
    Case(module="injected", inputs={"start": 3}),
    Case(module="extracted", inputs={"rows": 3}),
    Case(module="unwrapped", inputs={"start": 4, "unit": "km", "extra": 1}, failing=2),
    Case(module="unwrapped", inputs={"start": 4, "unit": "km"}, failing=3),
    Case(module="unwrapped", inputs={"start": 4, "unit": "km", "extra": 1, "scale": 5, "other": 2}, failing=2),
    Case(module="checked", inputs={"reading": 50.0}),
    Case(module="checked", inputs={"reading": 5.0}),
    Case(module="strict", inputs={"raw": 7}),
    Case(module="strict", inputs={"raw": 70}, failing=2),
    Case(module="configured", inputs={"base": 4}, config={"mode": "fast"}),
    Case(module="configured", inputs={"base": 4, "drag": 1, "limit": 2}, config={"mode": "slow"}),
    Case(module="configured", inputs={"drag": 1, "limit": 2}, config={"mode": "slow", "base": 8}),
    Case(module="done_by", inputs={"a": 1, "b": 2, "c": 3}),
    Case(module="subdags", inputs={"seed": 2}),
    Case(module="piped", inputs={"seed": 2, "number": 3}, config={"double": True}),
    Case(module="piped", inputs={"seed": 2, "number": 3}, config={"double": False}),
    Case(
        module="resolved", inputs={"start": 2}, config={"pairs": {"ab": ["a", "b"]}, "names": ["p", "q"], **POWER_USER}
    ),
    Case(module="framed", inputs={"rows": 4, "shift": 0.5}, failing=2),
    Case(module="typed", inputs={"raw": 21.5}),
    Case(module="typed", inputs={"raw": 21.5, "more": [1.0], "unit": "F"}),
    Case(module="wrapped", inputs={"a": 5, "b": 3}),
    Case(module="awaiting", inputs={"key": 5}, asynchronous=True),
    Case(module="awaiting", inputs={"key": 5, "margin": 2}, asynchronous=True),
    Case(module="awaiting", inputs={"key": 5}, overrides={"fetched": 50}, asynchronous=True),
    # The branches' own node has no one value.
    Case(module="branching", inputs={"start": 1}, through_driver=True, failing=1),
    Case(module="branching", inputs={"start": 1, "power": 3}, through_driver=True, failing=1),
    Case(module="older", inputs={"reading": 21.5, "metres": [3.0], "feet": [1.0]}),
    Case(module="described", inputs={"reading": 21.5, "value": pd.Series([1.0, 3.0])}),
    Case(module="described", inputs={"reading": -21.5, "value": pd.Series([1.0, 3.0])}, failing=9),
    Case(module="overridden", inputs={"start": 1}),
    Case(module="overridden", inputs={"start": 1}, overrides={"b": 100}),
    Case(module="overridden", inputs={}, overrides={"a": 5}),
    Case(module="overridden", inputs={}, overrides={"a": 5, "c": 6}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_value_is_that_of_the_driver(case: Case) -> None:
    """Each decorator's nodes give the same by plan and by driver."""
    catalogue, pipeline = _pipeline(case)
    with warnings.catch_warnings():
        # Hamilton's own deprecations are not ours to fail on.
        warnings.simplefilter("ignore", DeprecationWarning)
        result = compare(catalogue, pipeline, case.inputs, overrides=case.overrides, asynchronous=case.asynchronous)
    assert not result.different
    assert not result.unstable
    assert case.failing == len(result.same_error)
    assert result.equal
    assert case.through_driver == result.through_driver


def test_every_decorator_of_hamilton_is_compared() -> None:
    """Whatever it exports to stand above functions is in a module here, but for two that its driver cannot build."""
    folder = Path(__file__).parent / "modules"
    compared = {case.module for case in CASES} | {"stored"}

    used = {name for module in compared for name in used_in(folder / f"{module}.py")}

    assert all_decorators() - BROKEN == used
    assert 36 <= len(used)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_what_the_driver_cannot_build_is_refused(tmp_path: Path, name: str) -> None:
    """With the function's line, where Hamilton raises from somewhere within."""
    from hamilton import driver

    project = Project(tmp_path)
    pipeline = project.pipeline(f"""
        import pandas as pd
        from hamilton.function_modifiers import {name}
        from hamilton.models import BaseModel

        class Plus(BaseModel):
            def get_dependents(self) -> list[str]:
                return ["a", "b"]
            def predict(self, **columns: pd.Series) -> pd.Series:
                return columns["a"] + columns["b"]

        @{name}(Plus, "weights")
        def summed() -> pd.Series:
            pass
    """)
    pipeline = replace(pipeline, config={"weights": {}})

    (problem,) = project.catalogue.check(pipeline)

    assert problem.where.startswith("pipelines/work.py:")
    with pytest.raises(Exception, match=problem.what.rpartition(": ")[2][:20]):
        driver.Builder().with_modules(project.catalogue._generation().module("pipelines.work")).with_config(
            {"weights": {}}
        ).build()


def test_files_are_loaded_and_saved_as_by_the_driver(tmp_path: Path) -> None:
    """`@load_from`, `@save_to`, `@dataloader` and `@datasaver` read and write the same files."""
    settings = tmp_path / "settings.json"
    settings.write_text('{"a": 3}')
    result_file = tmp_path / "result.json"
    names = ("settings", "result", "lines")
    catalogue, pipeline = _pipeline(Case(module="stored"), names)
    inputs = {"settings_file": str(settings), "result_file": str(result_file)}
    result = compare(catalogue, pipeline, inputs)
    assert names == result.equal
    plan = catalogue.plan(pipeline, final_vars=["saved", "copied"])
    saved = plan.execute(inputs)
    assert {"sum": 7} == json.loads(result_file.read_text())
    assert str(result_file) == str(saved["saved"]["file_metadata"]["path"])
    assert '{"a": 3}' == (tmp_path / "result.json.copy").read_text()


def test_a_parallelizable_elsewhere_in_the_module_leaves_a_plan_compiled() -> None:
    """Only a plan that needs the expanding node goes through the driver."""
    catalogue, pipeline = _pipeline(Case(module="branching"), ("beside",))
    plan = catalogue.plan(pipeline)
    assert not plan.through_driver
    assert {"beside": -3} == plan.execute({"start": 1})


def test_the_comparison_sees_differences() -> None:
    """What the tests here rely on can tell values apart."""
    assert not same(1, 1.0)
    assert not same({"a": [1, 2]}, {"a": [1, 3]})
    assert not same(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}))
    assert same(float("nan"), float("nan"))


def _pipeline(case: Case, final_vars: tuple[str, ...] = ()) -> tuple[Catalogue, Pipeline]:
    """The case's module with all its nodes asked for."""
    catalogue = Catalogue(ROOT)
    pipeline = Pipeline(name=case.module, module=f"tests.plans.modules.{case.module}", config=case.config)
    names = final_vars or tuple(catalogue.graph(pipeline).computed())
    return catalogue, Pipeline(name=pipeline.name, module=pipeline.module, config=case.config, final_vars=names)
