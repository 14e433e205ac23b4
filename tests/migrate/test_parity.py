"""docs/flowerpower.md: each row names what is here, and a test that is there."""

from __future__ import annotations

import re

import pytest

import fp_events
from fp_events.config.pipeline_keys import PipelineSettings
from fp_events.config.project_keys import ProjectSettings
from fp_events.config.schema import at
from tests.docs.pages import ROOT

TEXT = (ROOT / "docs/flowerpower.md").read_text(encoding="utf-8")
_SECTION = re.compile(r"^## (.*)\n", re.M)
_ROW = re.compile(r"^\| (.+?) (?<!\\)\| (.+?) (?<!\\)\| (.+?) (?<!\\)\|$", re.M)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[tuple[str, str, str, str]]:
    """Heading, FlowerPower's, ours, proof; of the tables that have proofs."""
    parts = _SECTION.split(TEXT)[1:]
    return [
        (heading, *row)
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
        for row in _ROW.findall(body)
        if "shown by" in body and row[0] != "FlowerPower" and not row[0].startswith("-")
    ]


ROWS = rows()


def test_the_tables_are_read() -> None:
    """All five of them."""
    assert 5 == len({heading for heading, *_ in ROWS})
    assert len(ROWS) > 120


def test_each_row_has_a_proof_that_is_there() -> None:
    """A test that its file has."""
    missing = []
    for heading, theirs, _, proof in ROWS:
        tests = _TEST.findall(proof)
        there = [name for file, name in tests if (ROOT / file).is_file()
                 and re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.M)]  # fmt: skip
        if not tests or len(there) < len(tests):
            missing.append(f"{heading}: {theirs}: {proof}")
    assert [] == missing


@pytest.mark.parametrize(
    ("heading", "model"), [("Keys of the project", ProjectSettings), ("Keys of a pipeline", PipelineSettings)]
)
def test_each_key_is_one_of_ours(heading: str, model: type) -> None:
    """Where the configuration is declared; `run` of the project is that of all pipelines."""
    named = [key for where, _, ours, _ in ROWS if where == heading for key in re.findall(r"`([a-z_.]+)`", ours)]
    unknown = [key for key in named if at(model, tuple(key.split("."))) is None]
    assert ([], True) == (unknown, len(named) > 15)


def test_each_name_in_python_is_there() -> None:
    """Of `fp_events`; an attribute that instances have is made in its constructor."""
    named = {name for where, _, ours, _ in ROWS if where == "Names in Python"
             for name in re.findall(r"\b((?:Project|RunConfig)(?:\.\w+)?)", ours)}  # fmt: skip
    attributes = {"Project.pipelines", "Project.runs", "Project.schedules"}
    missing = []
    for name in named - attributes:
        found: object = fp_events
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is None:
            missing.append(name)
    assert ([], True) == (missing, len(named) > 8)
