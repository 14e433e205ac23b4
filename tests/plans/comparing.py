"""A plan and Hamilton's own driver, run on the same module with the same inputs."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fp_events.domain.errors import InputInvalid
from fp_events.domain.pipeline import Pipeline
from fp_events.plans.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of comparing one module under one configuration."""

    #: Nodes whose values are equal.
    equal: tuple[str, ...] = ()
    #: Nodes for which both raise the same error.
    same_error: tuple[str, ...] = ()
    #: Node -> what the driver and the plan gave.
    different: Mapping[str, str] = field(default_factory=dict)
    #: Nodes that tell nothing: the driver gives another value each time (the clock), or refuses an input's type.
    unstable: tuple[str, ...] = ()
    through_driver: bool = False


@dataclass(frozen=True, slots=True)
class _Raised:
    """A node's error, in the place of its value."""

    kind: str
    text: str


def compare(
    catalogue: Catalogue,
    pipeline: Pipeline,
    inputs: Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
    asynchronous: bool = False,
) -> Comparison:
    """Run every final variable by both; where the driver fails, node by node."""
    plan = catalogue.plan(pipeline, overrides=tuple(overrides or ()))
    names = list(plan.outputs)
    driver = _driver(catalogue, pipeline, dynamic=plan.through_driver, asynchronous=asynchronous)
    expected = _values(names, lambda wanted: driver(wanted, inputs, overrides))
    given = {**inputs, **(overrides or {})}
    actual = _values(
        names,
        lambda wanted: catalogue.plan(pipeline, final_vars=wanted, overrides=tuple(overrides or ())).execute(given),
    )
    again = partial(_value, run=lambda wanted: driver(wanted, inputs, overrides))
    equal, same_error, unstable, different = [], [], [], {}
    for name in names:
        is_same = same(expected[name], actual[name]) or _both_refuse(expected[name], actual[name])
        if not is_same and (_refuses(expected[name]) or not same(expected[name], again(name))):
            unstable.append(name)
        elif not is_same:
            different[name] = f"driver {expected[name]!r}, plan {actual[name]!r}"
        elif isinstance(expected[name], _Raised):
            same_error.append(name)
        else:
            equal.append(name)
    return Comparison(
        equal=tuple(equal),
        same_error=tuple(same_error),
        different=different,
        unstable=tuple(unstable),
        through_driver=plan.through_driver,
    )


def _values(names: Sequence[str], run: Callable[[list[str]], Mapping[str, Any]]) -> dict[str, Any]:
    random.seed(7)
    try:
        return dict(run(list(names)))
    except Exception:  # noqa: BLE001 (both sides may fail, and are asked node by node then)
        return {name: _value(name, run) for name in names}


def _value(name: str, run: Callable[[list[str]], Mapping[str, Any]]) -> Any:
    random.seed(7)
    try:
        return run([name])[name]
    except Exception as error:  # noqa: BLE001 (what a node raises is compared like a value)
        # Hamilton has no class for a missing input.
        missing = isinstance(error, InputInvalid) or "Required input" in str(error)
        return _Raised("missing input" if missing else type(error).__name__, str(error))


def _both_refuse(expected: Any, actual: Any) -> bool:
    """The driver refuses an input of a wrong type before it calls the function that the plan sees fail."""
    return _refuses(expected) and isinstance(actual, _Raised)


def _refuses(expected: Any) -> bool:
    return isinstance(expected, _Raised) and "Type requirement mismatch" in expected.text


def _driver(catalogue: Catalogue, pipeline: Pipeline, *, dynamic: bool, asynchronous: bool) -> Any:
    from fp_events.plans.hamilton_api import hamilton

    async_driver, driver = hamilton("async_driver"), hamilton("driver")

    for name in ("hamilton.execution.graph_functions", "hamilton.driver", "hamilton.async_driver"):
        logging.getLogger(name).disabled = True
    module = catalogue.graph(pipeline).module
    config = dict(pipeline.config)
    if asynchronous:

        async def run_async(wanted: list[str], inputs: Any, overrides: Any) -> Any:
            built = await async_driver.Builder().with_modules(module).with_config(config).build()
            return await built.execute(wanted, inputs=dict(inputs), overrides=overrides)

        return lambda wanted, inputs, overrides: asyncio.run(run_async(wanted, inputs, overrides))
    builder = driver.Builder().with_modules(module).with_config(config)
    if dynamic:
        builder = builder.enable_dynamic_execution(allow_experimental_mode=True)
    built = builder.build()
    return lambda wanted, inputs, overrides: built.execute(wanted, inputs=dict(inputs), overrides=overrides)


def same(one: Any, other: Any) -> bool:
    """Equality that sees into frames, arrays, NaN and plain objects."""
    if type(one) is not type(other):
        return False
    if isinstance(one, _Raised):
        return bool(one.kind == other.kind)
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "tolist"):
        return same(one.tolist(), other.tolist())
    if inspect.isgenerator(one):
        return same(list(one), list(other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    if one is other or one == other:
        return True
    # Objects that know only identity, such as those of data loaders: equal where all their fields are.
    return hasattr(one, "__dict__") and not isinstance(one, type) and same(vars(one), vars(other))
