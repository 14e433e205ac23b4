"""Runs of a project from Python."""

import asyncio
import os
from pathlib import Path
from typing import Any

from hamilton.lifecycle import NodeExecutionHook

from fp_events import Project, RunConfig, RunFailed


class Noting(NodeExecutionHook):  # type: ignore[misc]  # Hamilton ships no types
    """Remembers which nodes ran."""

    def __init__(self) -> None:
        self.nodes: list[str] = []

    def run_before_node_execution(self, *, node_name: str, **_: Any) -> None:
        """Hamilton calls it before each node."""
        self.nodes.append(node_name)

    def run_after_node_execution(self, **_: Any) -> None:
        """And after each."""


async def many(project: Project) -> list[float]:
    """Fifty runs at once."""
    runs = (project.run_async("level", inputs={"mm": 1000.0 * m}, final_vars=["metres"]) for m in range(50))
    return [values["metres"] for values in await asyncio.gather(*runs)]


def main() -> None:
    """Everything once."""
    noting = Noting()
    usual = RunConfig(inputs={"mm": 2500.0}, final_vars=["alarm"])
    with Project.load(Path(__file__).parent) as project:
        print(f"level: {project.run('level', usual)['alarm'].metres:.2f} m")
        found = asyncio.run(many(project))
        print(f"many: {len(found)} runs, the highest {max(found)} m")
        project.run("level", usual, adapters=[noting])
        print("noted:", ", ".join(noting.nodes))
        worker = project.run("level", usual, final_vars=["process"], executor="processpool")["process"]
        print("elsewhere:", worker != os.getpid())
        try:
            project.run("level", usual, inputs={"mm": -1.0})
        except RunFailed as error:
            print("refused:", error)


if __name__ == "__main__":
    main()
