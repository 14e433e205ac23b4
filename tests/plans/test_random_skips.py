"""Random graphs with conditions: whatever way a plan runs, it gives what a page of Python says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from fp_events.plans.hamilton_api import hamilton

from .projects import Project

HEAD = "import asyncio\nfrom fp_events import retry, timeout, when\n\n"


@dataclass(frozen=True, slots=True)
class Node:
    """A function that adds up what it is given."""

    name: str
    #: What it takes; True where the parameter may be None.
    takes: Mapping[str, bool]
    #: It runs if the sum of its inputs is a multiple of this; 0: always.
    divisor: int
    is_async: bool
    mark: str

    def source(self) -> str:
        """As a user writes it."""
        parameters = ", ".join(f"{name}: int{' | None' if none else ''}" for name, none in self.takes.items())
        terms = " + ".join(f"({name} or 0)" for name in self.takes) or "7"
        lines = [self.mark] if self.mark else []
        if self.divisor:
            lines.append(f"@when(lambda **given: sum(v or 0 for v in given.values()) % {self.divisor} == 0)")
        lines.append(f"{'async ' if self.is_async else ''}def {self.name}({parameters}) -> int:")
        if self.is_async:
            lines.append("    await asyncio.sleep(0)")
        return "\n".join([*lines, f"    return 1 + {terms}", "", ""])


def graph(random: Random, *, asynchronous: bool) -> list[Node]:
    nodes: list[Node] = []
    for number in range(random.randint(3, 14)):
        known = ["start", *(node.name for node in nodes)]
        chosen = random.sample(known, k=min(len(known), random.randint(1, 3)))
        nodes.append(
            Node(
                name=f"n{number}",
                takes={name: name != "start" and random.random() < 0.4 for name in chosen},
                divisor=random.choice([0, 0, 2, 3]),
                is_async=asynchronous and random.random() < 0.6,
                mark=random.choice(["", "", "@retry(2)", "@timeout(5)"]),
            )
        )
    return nodes


def expected(nodes: Sequence[Node], start: int) -> dict[str, int]:
    """Values of the nodes that are not skipped."""
    values = {"start": start}
    for node in nodes:
        if any(name not in values and not none for name, none in node.takes.items()):
            continue
        total = sum(values.get(name, 0) for name in node.takes)
        if node.divisor and total % node.divisor:
            continue
        values[node.name] = 1 + total
    del values["start"]
    return values


@pytest.mark.parametrize("asynchronous", [False, True], ids=["ordinary", "awaiting"])
def test_any_graph_skips_what_it_should(project: Project, asynchronous: bool) -> None:
    """Compiled, traced and beside adapters; with all outputs, and with some."""
    random = Random(42)
    base = hamilton("lifecycle.base")
    members = {"post_node_execute": lambda self, **facts: self.told.append(facts["node_"].name)}
    adapter: Any = type("Told", (base.BasePostNodeExecute,), members)()
    adapter.told = []
    seen_skips = 0
    for _ in range(25):
        nodes = graph(random, asynchronous=asynchronous)
        pipeline = project.pipeline(HEAD + "".join(node.source() for node in nodes))
        project.catalogue.refresh()
        names = [node.name for node in nodes]
        some = random.sample(names, k=max(1, len(names) // 2))
        for start in (0, 1, random.randint(2, 9)):
            values = expected(nodes, start)
            seen_skips += len(nodes) - len(values)
            for outputs in (names, some):
                plan = project.catalogue.plan(pipeline, final_vars=outputs)
                adapted = project.catalogue.plan(pipeline, final_vars=outputs, adapters=[adapter])
                wanted = {name: values[name] for name in outputs if name in values}
                run = plan.traced()

                assert wanted == plan.execute({"start": start})
                assert wanted == run.execute({"start": start})
                assert wanted == adapted.execute({"start": start})
                status = {record.node: record.status for record in run.nodes()}
                assert {name: "succeeded" if name in values else "skipped" for name in status} == status
                assert set(outputs) <= status.keys()
    assert seen_skips > 100
