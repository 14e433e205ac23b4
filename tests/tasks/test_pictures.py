"""A DAG as a picture."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from fp_events import DAG, FlowkitError, task


def drawn() -> DAG:
    @task(retries=2, timeout="5s")
    def extract() -> int:
        return 1

    @task(when=lambda x: x > 0)
    def large(x: int) -> int:
        return x

    @task
    async def load(x: Any, table: str) -> None: ...

    extract >> large >> load
    return DAG("my pipeline")


def test_text_is_returned_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each task after what it waits for."""
    text = drawn().visualize()

    expected = """\
    DAG 'my pipeline': 3 tasks

    extract  [3 calls at most]  [timeout 5s]
      Downstream: large

    large  [when]
      Upstream: extract
      Downstream: load

    load  [async]
      Upstream: large
      Inputs: table"""
    assert textwrap.dedent(expected) == text
    assert f"{text}\n" == capsys.readouterr().out


def test_mermaid_and_dot(capsys: pytest.CaptureFixture[str]) -> None:
    """With a shape of their own for conditions and inputs; nothing is printed where that is not wanted."""
    mermaid = drawn().visualize("mermaid", show=False)
    dot = drawn().visualize("dot", show=False)

    assert ['  t1{{"large"}}', '  i0(["table"])', "  t0 --> t1", "  t1 --> t2", "  i0 --> t2"] == [
        line for line in mermaid.splitlines() if line.startswith(("  t1{", "  i0(")) or "-->" in line
    ]
    assert '  t0 [label="extract\\n[3 calls at most]\\n[timeout 5s]", shape=box];' in dot.splitlines()
    assert "  t0 -> t1;" in dot.splitlines()
    assert "" == capsys.readouterr().out


def test_an_empty_dag_says_so() -> None:
    """And a form that there is not, too."""
    empty = DAG("empty", tasks=[])

    assert "Empty DAG" in empty.visualize(show=False)
    with pytest.raises(FlowkitError, match="DAG 'empty' can be drawn as 'text', 'mermaid' or 'dot', not 'gif'"):
        empty.visualize("gif")
