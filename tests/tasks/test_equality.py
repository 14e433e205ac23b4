"""Random task modules give the same by `DAG.run`, by a plan, by a plan with branches in threads, and by the rule."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fp_events.domain.pipeline import ExecutorSpec, Pipeline
from fp_events.plans.catalogue import Catalogue

#: More by hand: any range of seeds.
SEEDS = range(25)

#: What a function takes of its edges.
KINDS = ("strict", "optional", "default", "gathering", "single", "ordered")


class Module:
    """A random module of tasks, and what it should give."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self.lines = ["from fp_events import DAG, task", "NOTHING = object()"]
        self.tasks: list[tuple[str, list[int], int | None]] = []
        edges, may_skip = [], set[int]()
        for number in range(rng.randint(3, 14)):
            count = rng.randint(0, min(number, 3))
            upstream = rng.sample(range(number), count)
            kind = rng.choice(KINDS) if count else "input"
            if kind == "single" and count > 1 and may_skip.isdisjoint(upstream):
                # More edges than parameters, of which none may be skipped, are refused.
                kind = "gathering"
            bound = rng.choice([None, None, 2, 5]) if kind not in ("ordered", "single") else None
            if bound is not None or not may_skip.isdisjoint(upstream):
                may_skip.add(number)
            self.tasks.append((kind, upstream, bound))
            self.lines += self._function(number, kind, count, bound, is_async=rng.random() < 0.2)
            if upstream:
                edges.append(f"[{', '.join(f't{each}' for each in upstream)}] >> t{number}")
        self.lines += [*edges, f"dag = DAG('random', max_workers={rng.choice([None, 3])})"]

    @property
    def source(self) -> str:
        return "\n".join(self.lines) + "\n"

    @staticmethod
    def _function(number: int, kind: str, count: int, bound: int | None, *, is_async: bool) -> list[str]:
        names = [f"p{each}" for each in range(count)]
        parameters = {
            "input": "x",
            "strict": ", ".join(names),
            "optional": ", ".join(f"{name}: int | None" for name in names),
            "default": ", ".join([*names[:1], *(f"{name}=100" for name in names[1:])]),
            "gathering": "*values",
            "single": "value",
            "ordered": "",
        }[kind]
        taken = {"input": "[x]", "gathering": "values", "single": "[value]", "ordered": "[]"}.get(
            kind, f"[{', '.join(names)}]"
        )
        when = (
            "" if bound is None else f"(when=lambda *a, **k: sum(v or 0 for v in (*a, *k.values())) % {bound + 1} != 0)"
        )
        if bound is not None and kind == "input":
            when = f"(when=lambda x: x % {bound + 1} != 0)"
        return [
            f"@task{when}",
            f"{'async ' if is_async else ''}def t{number}({parameters}):",
            f"    return sum(v or 0 for v in {taken}) + {number}",
        ]

    def expected(self, x: int) -> dict[str, Any] | None:
        """Values by task; None where a task gets more values than it takes."""
        values: dict[int, Any] = {}
        for number, (kind, upstream, bound) in enumerate(self.tasks):
            given = [values.get(each, "skipped") for each in upstream]
            taken = self._taken(kind, given, x)
            if taken == "too many":
                return None
            if taken is None or (bound is not None and sum(value or 0 for value in taken) % (bound + 1) == 0):
                continue
            values[number] = sum(value or 0 for value in taken) + number
        return {f"t{number}": value for number, value in values.items()}

    @staticmethod
    def _taken(kind: str, given: list[Any], x: int) -> Any:
        ran = [value for value in given if value != "skipped"]
        if kind == "input":
            return [x]
        if kind in ("gathering", "ordered"):
            return None if not ran else ran if kind == "gathering" else []
        if kind == "single" and len(given) > 1:
            return "too many" if len(ran) > 1 else ran or None
        if kind == "optional":
            return [None if value == "skipped" else value for value in given]
        if kind == "default" and given[0] != "skipped":
            return [100 if value == "skipped" else value for value in given]
        return None if len(ran) < len(given) else given


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_ways_agree(tmp_path: Path, seed: int) -> None:
    """Values, and which tasks were left out; or that the module is refused."""
    module = Module(seed)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "work.py").write_text(module.source)
    names = tuple(f"t{number}" for number in range(len(module.tasks)))
    catalogue = Catalogue(tmp_path)

    def pipeline(executor: Any) -> Pipeline:
        return Pipeline(name="work", module="pipelines.work", final_vars=names, executor=ExecutorSpec(type=executor))

    for x in (1, 2, 3, 6):
        expected = module.expected(x)
        if expected is None:
            continue
        plans = [catalogue.plan(pipeline(executor)) for executor in ("local", "threadpool")]
        inputs = {"x": x}
        dag = plans[0].selection.graph.module.dag
        assert expected == await dag.run_async(inputs=inputs), module.source
        for plan in plans:
            assert expected == await plan.execute_async(inputs), module.source


def test_one_dag_runs_many_times_at_once(tmp_path: Path) -> None:
    """A run keeps nothing in its tasks or its DAG."""
    module = next(made for made in map(Module, itertools.count()) if all(made.expected(x) for x in range(1, 41)))
    namespace: dict[str, Any] = {"__name__": "many"}
    exec(module.source, namespace)
    dag = namespace["dag"]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: dag.run(inputs={"x": x}), range(1, 41)))

    assert [module.expected(x) for x in range(1, 41)] == found
