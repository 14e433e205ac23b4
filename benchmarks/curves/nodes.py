"""What a run of a plan costs: compiled, the same calls written by hand, and through Hamilton's driver."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import scratch

from .points import Point

#: Seconds of CPU for one measurement, and how many of them, interleaved.
_LONG, _TIMES = 0.05, 9

Run = Callable[[Mapping[str, Any]], object]


def nodes(sizes: Sequence[int], _: int) -> list[Point]:
    """Chains of nodes, each of which adds an input to the value before it."""
    return [_point(size) for size in sizes]


def _point(size: int) -> Point:
    with scratch() as folder:
        runs = _runs(folder, size)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    gc.collect()
    for _ in range(_TIMES):
        for name, run in runs.items():
            taken[name].append(_cost(run))
    by_hand = taken["by hand"]
    over = [mine / its for mine, its in zip(taken["compiled"], by_hand, strict=True)]
    driver = [mine / its for mine, its in zip(taken["driver"], by_hand, strict=True)]
    return Point(
        size=size,
        cost_us=statistics.median(taken["compiled"]) * 1e6,
        more={
            "by hand us": statistics.median(by_hand) * 1e6,
            "compiled / by hand": statistics.median(over),
            "driver / by hand": statistics.median(driver),
        },
    )


def _cost(run: Run) -> float:
    """Seconds of CPU for one call."""
    inputs, done, started = {"x": 1.0, "y": 2.0}, 0, time.process_time()
    while (taken := time.process_time() - started) < _LONG:
        for _ in range(20):
            run(inputs)
        done += 20
    return taken / done


def _runs(folder: Path, size: int) -> dict[str, Run]:
    from fp_events.domain.pipeline import Pipeline
    from fp_events.plans.catalogue import Catalogue

    module = ["def n0(x: float, y: float) -> float:\n    return x + y\n"]
    module += [f"def n{i}(n{i - 1}: float, y: float) -> float:\n    return n{i - 1} + y\n" for i in range(1, size)]
    (folder / "pipelines").mkdir()
    (folder / "pipelines/chain.py").write_text("\n\n".join(module))
    catalogue = Catalogue(folder)
    pipeline = Pipeline(name="chain", module="pipelines.chain", final_vars=(f"n{size - 1}",))
    plan = catalogue.plan(pipeline)
    namespace: dict[str, Any] = {}
    exec((folder / "pipelines/chain.py").read_text(), namespace)
    calls = ["def run(inputs):", " y = inputs['y']", " n0_ = n0(inputs['x'], y)"]
    calls += [f" n{i}_ = n{i}(n{i - 1}_, y)" for i in range(1, size)]
    exec("\n".join([*calls, f" return {{'n{size - 1}': n{size - 1}_}}"]), namespace)
    return {"compiled": plan.execute, "by hand": namespace["run"], "driver": _driver(folder, size)}


def _driver(folder: Path, size: int) -> Run:
    import importlib.util
    import sys

    from hamilton import driver

    spec = importlib.util.spec_from_file_location(f"chain_{size}", folder / "pipelines/chain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    built = driver.Builder().with_modules(module).build()
    wanted = [f"n{size - 1}"]
    return lambda inputs: built.execute(wanted, inputs=dict(inputs))
