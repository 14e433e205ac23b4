"""Lists and pictures of a pipeline."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fp_events.domain.errors import UsageError
from fp_events.domain.observation import NodeRecord
from fp_events.domain.pipeline import Output, Pipeline, Trigger
from fp_events.plans import graph
from fp_events.plans.catalogue import NodeInfo
from fp_events.plans.graph import GraphFormat
from fp_events.plans.picture import RunDrawn
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
    assert drawn(project, pipeline, "text") == (
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
    text = drawn(project, made(project), "mermaid")
    assert '  t0[/"plant/{line}/#quot;t#quot;"/]\n' in text
    assert '  t0 -->|"payload.#lt;v#gt;"| n0\n' in text
    assert '  n4 -.->|"next run"| n1\n' in text
    assert '  n5 -->|"each"| o0\n' in text


def drawn(project: Project, pipeline: Pipeline, form: GraphFormat, run: RunDrawn | None = None) -> str:
    """A drawing that is text."""
    return graph.draw(project.catalogue, pipeline, form, run).decode()


def words_of(svg: bytes) -> set[str]:
    """The texts in an SVG."""
    return {element.text for element in ElementTree.fromstring(svg).iter() if element.text}


def words_of_pdf(pdf: bytes) -> set[str]:
    """The lines of text in a PDF as Graphviz writes them."""
    found = set()
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S):
        try:
            content = zlib.decompress(stream)
        except zlib.error:
            continue
        for block in re.findall(rb"Tf\n(.*?)ET", content, re.S):
            for line in re.split(rb"T[dm]\n", block):
                found.add(b"".join(re.findall(rb"\(((?:\\.|[^\\)])*)\)", line)).decode("latin-1"))
    return found


def pixels(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG whose parts are all whole."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    position, kinds, data = 8, [], b""
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        body = png[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", png, position + 8 + length)[0] == zlib.crc32(kind + body)
        kinds.append(kind)
        data += body if kind == b"IDAT" else b""
        position += 12 + length
    assert (b"IHDR", b"IEND") == (kinds[0], kinds[-1])
    assert zlib.decompress(data)
    width, height = struct.unpack_from(">II", png, 16)
    return width, height


def test_graphviz_draws_every_box(project: Project) -> None:
    """The SVG holds each name as the user wrote it."""
    require_program("dot")
    words = words_of(graph.draw(project.catalogue, made(project), "svg"))
    assert {'plant/{line}/"t"', "payload.<v>", "average", "alert", "alerts/{line}", "next run"} <= words


def test_graphviz_draws_pages_and_pixels(project: Project) -> None:
    """A PDF with the names in it, and a PNG that grows with the pipeline."""
    require_program("dot")
    pdf = graph.draw(project.catalogue, made(project), "pdf")
    assert pdf.startswith(b"%PDF-1.")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert {"average", "alert", "reading", "alerts/{line}"} <= words_of_pdf(pdf)
    whole = pixels(graph.draw(project.catalogue, made(project), "png"))
    small = pixels(graph.draw(project.catalogue, project.pipeline(final_vars=("average",)), "png"))
    assert whole[0] > small[0] > 100


def test_without_graphviz_the_error_says_how_to_get_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dot` is looked for on PATH; text needs none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    forms: list[GraphFormat] = ["svg", "png", "pdf"]
    for form in forms:
        with pytest.raises(UsageError, match=f"a drawing as {form.upper()} needs Graphviz.*apt install graphviz"):
            graph.draw(project.catalogue, made(project), form)
    assert "average" in drawn(project, made(project), "text")


def test_every_format_is_drawn_by_name(project: Project) -> None:
    """`draw` gives bytes for each format."""
    pipeline = made(project)
    assert drawn(project, pipeline, "text").startswith("work  version")
    assert drawn(project, pipeline, "dot").startswith('digraph "work" {')
    assert drawn(project, pipeline, "mermaid").startswith("flowchart LR\n")


NASTY = (
    'x"]; evil [label="',
    "x\\",
    'x\\"]; evil [',
    "</text><script>alert(1)</script>",
    "&lt;b&gt; &amp;",
    '"|evil',
    "#quot;",
    "%%{init: x}%%",
    "a\nclick n0 evil",
    "a\r\u2028evil\u202e\x1b[31m",
    "\ud800",
    "\\N\\G\\n\\l",
)


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_names_are_no_syntax(project: Project, text: str) -> None:
    """Whatever a topic, a path, a target, a pipeline or an error says stays text, in every format."""
    require_program("dot")
    pipeline = replace(
        project.pipeline("def a(x: int) -> int:\n    return x\n"),
        name=f"w{text}",
        triggers=(Trigger(topic=text, map={"x": text}),),
        outputs=(Output(node="a", topic=text),),
    )
    failed = NodeRecord(node="a", status="failed", started=0.0, duration=1.0, attempts=1, error=text)
    run = RunDrawn(run_id=text, outcome="failed", nodes=[failed])
    plain = re.sub("[\x00-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]", "\ufffd", text)

    svg = graph.draw(project.catalogue, pipeline, "svg", run)
    assert {plain, f"failed in 1s: {plain}", f"w{plain}, run {plain}: failed"} <= {
        word.replace("\xa0", " ") for word in words_of(svg)
    }
    assert 4 == len(re.findall(rb'class="node"', svg))
    assert b"script>" not in svg
    mermaid = drawn(project, pipeline, "mermaid", run)
    assert [] == [line for line in mermaid.splitlines() if re.match(r"\s*(click|evil|%%)", line)]
    assert 4 == len([line for line in mermaid.splitlines() if re.fullmatch(r'  [tno]\d[^" ]*"[^"]*"[^" ]*', line)])
    told = drawn(project, pipeline, "text", run)
    assert f"  {plain}  x <- {plain}\n" in told
    assert not re.search("[\x00-\x09\x0b-\x1f\u2028-\u202e]", told)


MARKED = """
    from hamilton.htypes import Collect, Parallelizable
    from fp_events import cached, retry, timeout, when

    def _high(x: float) -> bool:
        return x > 0

    @when(_high)
    @retry(3)
    @timeout("2s")
    def a(x: float) -> float:
        return x

    @cached(ttl="1h")
    def b(a: float) -> float:
        return a

    def part(y: int) -> Parallelizable[int]:
        yield from range(y)

    def square(part: int) -> int:
        return part * part

    def total(square: Collect[int]) -> int:
        return sum(square)
"""


def test_marks_and_branches_are_drawn(project: Project) -> None:
    """Beside the type in every format; a node that runs in branches has two frames."""
    pipeline = project.pipeline(MARKED)
    text = drawn(project, pipeline, "text")
    assert re.search(r"^  a +float +<- x +\[when _high, retry 3, timeout 2s\]$", text, re.M)
    assert re.search(r"^  b \* +float +<- a +\[cached 1h\]$", text, re.M)
    assert re.search(r"^  part +Parallelizable\[int\] +<- y$", text, re.M)
    dot = drawn(project, pipeline, "dot")
    assert r'[label="a\nfloat\nwhen _high, retry 3, timeout 2s"' in dot
    assert r'n5 [label="square\nint", shape=box, style="rounded", peripheries=2];' in dot
    assert 'n4 -> n5 [label="each"];' in dot
    assert 'n5 -> n6 [label="all"];' in dot
    mermaid = drawn(project, pipeline, "mermaid")
    assert '  n5[["square<br/>int"]]\n' in mermaid
    assert '  n3[["b<br/>float<br/>cached 1h"]]\n' in mermaid


def test_a_run_is_coloured_by_what_happened(project: Project) -> None:
    """Each node says it in words too; what was not reached is another colour than what was skipped."""
    require_program("dot")
    source = "".join(
        f"def {name}({needs}: int) -> int:\n    return 1\n" for name, needs in zip("abcde", "xabcd", strict=True)
    )
    pipeline = project.pipeline(source)
    records = [
        NodeRecord(node="a", status="cached", started=0.0, duration=0.001, attempts=0),
        NodeRecord(node="b", status="succeeded", started=0.0, duration=1.25, attempts=3),
        NodeRecord(node="c", status="skipped", started=0.0, duration=0.0, attempts=0),
        NodeRecord(node="d", status="failed", started=0.0, duration=0.5, attempts=1, error="ValueError: " + "x" * 100),
    ]
    run = RunDrawn(run_id="r1", outcome="failed", nodes=records)
    said = {
        "a": "cached in 1ms",
        "b": "succeeded in 1.2s, 3 calls",
        "c": "skipped",
        "d": f"failed in 500ms: ValueError: {'x' * 67}…",
        "e": "not reached",
    }
    text = drawn(project, pipeline, "text", run)
    assert text.startswith("work, run r1: failed\n")
    for name, words in said.items():
        assert re.search(rf"^  {name}[ *]+int +<- . +{re.escape(words)}$", text, re.M), name
    svg = graph.draw(project.catalogue, pipeline, "svg", run)
    root = ElementTree.fromstring(svg)
    colours = {}
    for group in root.iter("{http://www.w3.org/2000/svg}g"):
        texts = [element.text for element in group if element.tag.endswith("text")]
        shapes = [element.get("fill") for element in group if element.tag.endswith(("path", "polygon"))]
        if group.get("class") == "node" and texts and texts[0] in said:
            assert texts[-1] == said[texts[0]]
            colours[texts[0]] = shapes[0]
    assert {"a": "#bfdbfe", "b": "#bbf7d0", "c": "#e5e7eb", "d": "#fecaca", "e": "#ffffff"} == colours
    mermaid = drawn(project, pipeline, "mermaid", run)
    assert "  class n4 failed\n" in mermaid
    assert "  class n5 notreached\n" in mermaid


def test_a_run_is_drawn_with_the_nodes_that_it_asked_for(project: Project) -> None:
    """Its outputs and configuration in the place of the pipeline's."""
    run = RunDrawn(run_id="r1", outcome="succeeded", nodes=[], final_vars=["average"])
    text = drawn(project, replace(made(project), outputs=()), "text", run)
    assert "  average *" in text
    assert "alert" not in text
