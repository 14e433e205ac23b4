"""Lists and pictures of a pipeline."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from fp_events.domain.errors import UsageError
from fp_events.domain.pipeline import Output, Pipeline, Trigger
from fp_events.plans import graph
from fp_events.plans.catalogue import NodeInfo
from tests.support import require_program

from .projects import Project

WORK = '''
    from typing import Optional
    from hamilton.function_modifiers import tag

    @tag(owner="ops")
    def average(reading: float, previous: Optional[float] = None) -> float:
        """Mean of two.

        More words.
        """
        return reading

    def alert(average: float, line: str, limit: float) -> Optional[str]:
        return line
'''


def made(project: Project) -> Pipeline:
    """A pipeline with something of everything."""
    return project.pipeline(
        WORK,
        triggers=(Trigger(topic='plant/{line}/"t"', map={"reading": "payload.<v>", "line": "topic.line"}),),
        outputs=(Output(node="alert", topic="alerts/{line}", each=True), Output(node="average")),
        state={"average": "previous"},
        inputs={"limit": 80.0},
    )


def test_nodes_are_listed_with_their_facts(project: Project) -> None:
    """Inputs first, then each node after what it needs."""
    nodes = project.catalogue.nodes(made(project))
    assert ["reading", "previous", "line", "limit", "average", "alert"] == [node.name for node in nodes]
    assert (
        NodeInfo(
            name="average",
            type="float",
            doc="Mean of two.",
            where="pipelines/work.py:5",
            inputs=("reading", "previous"),
            tags={"owner": "ops"},
            is_input=False,
            final=True,
        )
        == nodes[4]
    )
    assert nodes[0].is_input
    assert "pipelines/work.py:5" == nodes[0].where


def test_text_shows_all_parts(project: Project) -> None:
    """One line per trigger, input, node, state and output."""
    pipeline = made(project)
    version = project.catalogue.plan(pipeline).ref.version
    assert graph.text(project.catalogue, pipeline) == (
        f"work  version {version}\n"
        "\n"
        "triggers\n"
        '  plant/{line}/"t"  reading <- payload.<v>, line <- topic.line\n'
        "\n"
        "inputs\n"
        "  reading   float            required\n"
        "  previous  Optional[float]  state\n"
        "  line      str              required\n"
        "  limit     float            run.inputs\n"
        "\n"
        "nodes (* returned)\n"
        "  average *  float          <- reading, previous\n"
        "  alert *    Optional[str]  <- average, line, limit\n"
        "\n"
        "state\n"
        "  average -> previous, in the key's next run\n"
        "\n"
        "outputs\n"
        "  alert -> alerts/{line}\n"
        "  average -> …/results/work/<node>\n"
    )


def test_mermaid_escapes_its_own_signs(project: Project) -> None:
    """Quotes, brackets and angle brackets of topics and paths are no syntax."""
    drawn = graph.mermaid(project.catalogue, made(project))
    assert '  t0[/"plant/{line}/#quot;t#quot;"/]\n' in drawn
    assert '  t0 -->|"payload.#lt;v#gt;"| n0\n' in drawn
    assert '  n4 -.->|"next run"| n1\n' in drawn
    assert '  n5 -->|"each"| o0\n' in drawn


def test_graphviz_draws_every_box(project: Project) -> None:
    """The SVG holds each name as the user wrote it."""
    require_program("dot")
    drawn = graph.draw(project.catalogue, made(project), "svg")
    words = {element.text for element in ElementTree.fromstring(drawn).iter() if element.text}
    assert {'plant/{line}/"t"', "payload.<v>", "average", "alert", "alerts/{line}", "next run"} <= words


def test_without_graphviz_the_error_says_how_to_get_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dot` is looked for on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="install it"):
        graph.svg(project.catalogue, made(project))


def test_every_format_is_drawn_by_name(project: Project) -> None:
    """`draw` gives bytes for each format."""
    pipeline = made(project)
    assert graph.draw(project.catalogue, pipeline, "text").startswith(b"work  version")
    assert graph.draw(project.catalogue, pipeline, "dot").startswith(b'digraph "work" {')
    assert graph.draw(project.catalogue, pipeline, "mermaid").startswith(b"flowchart LR\n")
