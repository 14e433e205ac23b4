"""Nodes whose values are kept: which are computed, and when anew."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fp_events.app.caching import ExactCodec
from fp_events.cache import CACHES, Caches
from fp_events.domain.caching import CacheSpec
from fp_events.domain.errors import ConfigError
from fp_events.plans.catalogue import Catalogue
from tests.plans.projects import Project

from .counting import CALLS

ALL = CacheSpec(enabled=True)

HEAD = """
from tests.cache.counting import called
from fp_events import cached, retry, timeout, when
"""


class Kept(Project):
    """A project whose pipelines have a store."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.renew()

    def renew(self) -> None:
        """As another process would see it."""
        self.caches = Caches()
        self.catalogue = Catalogue(self.root, store=self._store)

    def _store(self, pipeline: str, spec: CacheSpec) -> Any:
        return self.caches.store(pipeline, str(self.root / "kept"), spec.max_bytes, ExactCodec())

    def run(
        self, source: str, inputs: Mapping[str, Any], cache: CacheSpec = ALL, **settings: Any
    ) -> tuple[dict[str, Any], list[str]]:
        """The outputs, and which functions were called, with the module's source as given; everything imported anew."""
        CALLS.clear()
        self.renew()
        pipeline = self.pipeline(HEAD + source, cache=cache, **settings)
        values = self.catalogue.plan(pipeline).execute(inputs)
        return values, list(CALLS)

    def counts(self) -> dict[str, int]:
        """Of the last run."""
        return self.caches.counts().get("work", {})


@pytest.fixture
def project(tmp_path: Path) -> Kept:
    """An empty project, and an empty store."""
    return Kept(tmp_path)


TWO = """
def a(x: int) -> tuple:
    called("a")
    return (x, 1.5)

def b(a: tuple, x: int) -> dict:
    called("b")
    return {"a": a, "x": x}
"""


def test_all_nodes_are_kept_by_their_inputs(project: Kept) -> None:
    """Over processes; a second run computes nothing, another input everything."""
    expected = {"b": {"a": (3, 1.5), "x": 3}}
    assert (expected, ["a", "b"]) == project.run(TWO, {"x": 3})
    assert (expected, []) == project.run(TWO, {"x": 3})
    assert {"hits": 2} == project.counts()
    assert ["a", "b"] == project.run(TWO, {"x": 4})[1]
    assert ["a", "b"] == project.run(TWO, {"x": 3.0})[1]


def test_a_node_is_kept_by_the_values_that_it_gets(project: Kept) -> None:
    """Not by where they come from: what gives the same again computes nothing below it."""
    source = (
        TWO.replace("return (x, 1.5)", "return (x % 10, 1.5)")
        .replace("a: tuple, x: int", "a: tuple")
        .replace(', "x": x', "")
    )
    assert ["a", "b"] == project.run(source, {"x": 3})[1]
    assert ["a"] == project.run(source, {"x": 13})[1]


@pytest.mark.parametrize(
    ("cache", "calls"),
    [
        (CacheSpec(), ["a", "b"]),
        (CacheSpec(enabled=False), ["a", "b"]),
        (CacheSpec(enabled=True, only=("a",)), ["b"]),
        (CacheSpec(enabled=True, only=()), ["a", "b"]),
        (CacheSpec(enabled=True, disable=("a",)), ["a"]),
        (CacheSpec(enabled=True, recompute=("a",)), ["a"]),
        (CacheSpec(enabled=True, recompute=True), ["a", "b"]),
        (CacheSpec(enabled=True, ttl=0.000001), ["a", "b"]),
        (CacheSpec(enabled=True, ttl=3600.0), []),
    ],
)
def test_settings_choose_nodes(project: Kept, cache: CacheSpec, calls: list[str]) -> None:
    """Of what an earlier run has kept, they take as much as they say."""
    project.run(TWO, {"x": 3})
    assert calls == project.run(TWO, {"x": 3}, cache)[1]


def test_what_is_computed_anew_is_kept(project: Kept) -> None:
    """`recompute` is for the next run too."""
    source = """
from pathlib import Path
def a(file: str) -> str:
    called("a")
    return Path(file).read_text()
"""
    file = project.root / "data.txt"
    file.write_text("one")
    inputs = {"file": str(file)}
    project.run(source, inputs)
    file.write_text("two")
    assert ({"a": "one"}, []) == project.run(source, inputs)
    assert ({"a": "two"}, ["a"]) == project.run(source, inputs, CacheSpec(enabled=True, recompute=("a",)))
    assert ({"a": "two"}, []) == project.run(source, inputs)


VERSIONED = """
from dataclasses import dataclass
from helpers import scaled

LIMIT = 10

@dataclass
class Reading:
    value: float
    def doubled(self) -> float:
        return self.value * 2

def reading(x: float) -> Reading:
    called("reading")
    return Reading(scaled(x))

def doubled(reading: Reading) -> float:
    called("doubled")
    return reading.doubled()

def alert(doubled: float, low: int = 1) -> bool:
    called("alert")
    return doubled > LIMIT + low
"""
HELPERS = "def scaled(x: float) -> float:\n    return x + 1\n"


@pytest.mark.parametrize(
    ("old", "new", "config", "calls"),
    [
        ("LIMIT = 10", "LIMIT = 11", {}, ["alert"]),
        ("low: int = 1", "low: int = 2", {}, ["alert"]),
        ("doubled > LIMIT", "doubled >= LIMIT", {}, ["alert"]),
        ("self.value * 2", "self.value * 3", {}, ["reading", "doubled", "alert"]),
        ("return x + 1", "return x + 2", {}, ["reading", "doubled", "alert"]),
        ("LIMIT", "LIMIT", {"mode": "strict"}, ["reading", "doubled", "alert"]),
        ("    value: float", "    value: float\n    unit: str = 'C'", {}, ["reading", "doubled"]),
        ("LIMIT = 10", "# a comment\nLIMIT = 10\n\n", {}, []),
        ('    called("alert")', '    """Says so."""\n    called("alert")', {}, []),
        ("def alert", "def other(x: float) -> float:\n    return x\n\ndef alert", {}, []),
    ],
)
def test_a_change_of_what_a_node_uses_has_it_computed(
    project: Kept, old: str, new: str, config: dict[str, Any], calls: list[str]
) -> None:
    """Code, helpers, constants, defaults, classes and configuration; not comments, docstrings and other functions."""
    settings: dict[str, Any] = {"final_vars": ("alert",)}
    project.write("helpers.py", HELPERS)
    project.run(VERSIONED, {"x": 3.0}, **settings)
    assert [] == project.run(VERSIONED, {"x": 3.0}, **settings)[1]
    project.write("helpers.py", HELPERS.replace(old, new))
    assert calls == project.run(VERSIONED.replace(old, new), {"x": 3.0}, config=config, **settings)[1]


MARKED = """
def a(x: int) -> int:
    called("a")
    return x

@cached()
def b(a: int) -> int:
    called("b")
    return a

@cached(ttl="1ms")
def c(b: int) -> int:
    called("c")
    return b

@cached(key=lambda line: line.lower())
def d(c: int, line: str) -> str:
    called("d")
    return f"{line} {c}"
"""


def test_marks_keep_single_nodes(project: Kept) -> None:
    """Without `run.cache`; with a time to live and a key of their own."""
    assert ["a", "b", "c", "d"] == project.run(MARKED, {"x": 1, "line": "L1"}, CacheSpec())[1]
    values, calls = project.run(MARKED, {"x": 1, "line": "l1"}, CacheSpec())
    assert ({"d": "L1 1"}, ["a", "c"]) == (values, calls)


@pytest.mark.parametrize(
    ("cache", "calls"),
    [
        (CacheSpec(enabled=False), ["a", "b", "c", "d"]),
        (CacheSpec(enabled=True), ["c"]),
        (CacheSpec(enabled=True, only=("a",)), ["c"]),
        (CacheSpec(enabled=True, disable=("b",)), ["b", "c"]),
        (CacheSpec(enabled=True, recompute=("d",)), ["c", "d"]),
        (CacheSpec(ttl=0.000001), ["a", "b", "c", "d"]),
    ],
)
def test_settings_and_marks_go_together(project: Kept, cache: CacheSpec, calls: list[str]) -> None:
    """`false` stands above marks, a mark's own time to live above the pipeline's."""
    project.run(MARKED, {"x": 1, "line": "L1"})
    assert calls == project.run(MARKED, {"x": 1, "line": "L1"}, cache)[1]


def test_a_key_that_raises_fails_no_run(project: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """The node is computed, and it is told."""
    source = """
@cached(key=lambda x: 1 / x)
def a(x: int) -> int:
    called("a")
    return x
"""
    for _ in range(2):
        assert ({"a": 0}, ["a"]) == project.run(source, {"x": 0}, CacheSpec())
    assert "its key raised ZeroDivisionError: division by zero" in caplog.text
    assert 1 == project.counts()["unhashable"]


@pytest.mark.parametrize("source", ["def a(x: int) -> int: return x", "@cached()\ndef a(x: int) -> int: return x"])
def test_what_has_no_stable_form_is_computed(project: Kept, source: str, caplog: pytest.LogCaptureFixture) -> None:
    """An input such as an open connection; the warning says which type."""
    for _ in range(2):
        assert {"a": print} == project.run(source, {"x": print})[0]
    assert {"unhashable": 1} == project.counts()
    assert 2 == len([each for each in caplog.records if each.levelno == logging.WARNING])


def test_a_kept_function_may_be_sent_to_another_process(project: Kept) -> None:
    """As Ray does with single nodes: it finds its store there, and what is missing is computed."""
    cloudpickle: Any = importlib.import_module("cloudpickle")
    source = """
@cached()
def a(x: int) -> tuple:
    return (x,)

def b(x: int) -> tuple:
    return (x, x)
"""
    project.renew()
    plan = project.catalogue.plan(project.pipeline(HEAD + source, cache=ALL))
    cloudpickle.register_pickle_by_value(plan.selection.graph.module)
    for name, expected in (("a", (3,)), ("b", (3, 3))):
        sent = cloudpickle.loads(cloudpickle.dumps(plan.selection.call(name)))
        assert [expected, expected] == [sent(x=3), sent(x=3)]
    counts = CACHES.counts()["work"]
    assert (2, 2, 2) == (counts["missed"], counts["stored"], counts["hits"])


def test_an_error_is_never_kept(project: Kept) -> None:
    """The next run calls the node again."""
    source = """
def a(x: int) -> int:
    called("a")
    raise ValueError(x)
"""
    for _ in range(2):
        with pytest.raises(ValueError, match="3"):
            project.run(source, {"x": 3})
        assert ["a"] == CALLS


ASYNC = """
import asyncio
from hamilton.function_modifiers import extract_fields, parameterize, source, value

async def a(x: int) -> int:
    called("a")
    await asyncio.sleep(0)
    return x

async def a2(x: int) -> int:
    called("a2")
    await asyncio.sleep(0)
    return x

@parameterize(p={"n": value(1)}, q={"n": source("a")})
async def many(n: int, x: int) -> int:
    called("many")
    return n + x

@extract_fields({"f": int, "g": int})
@cached()
async def fields(p: int, q: int, a2: int) -> dict:
    called("fields")
    return {"f": p, "g": q + a2}

def total(f: int, g: int) -> int:
    called("total")
    return f + g
"""


@pytest.mark.parametrize("inside_a_loop", [False, True])
def test_nodes_that_await_are_kept(project: Kept, inside_a_loop: bool) -> None:
    """Concurrent ones, those under Hamilton's decorators, and ordinary ones beside them."""
    calls = []
    for _ in range(2):
        CALLS.clear()
        project.renew()
        plan = project.catalogue.plan(project.pipeline(HEAD + ASYNC, cache=ALL))
        values = asyncio.run(plan.execute_async({"x": 3})) if inside_a_loop else plan.execute({"x": 3})
        assert {"total": 4 + 6 + 3} == values
        calls.append(sorted(CALLS))
    assert [["a", "a2", "fields", "many", "many", "total"], []] == calls


BRANCHES = """
from hamilton.htypes import Collect, Parallelizable

def part(x: int) -> Parallelizable[int]:
    called("part")
    yield from range(x)

def square(part: int) -> int:
    called("square")
    return part * part

def total(square: Collect[int]) -> int:
    called("total")
    return sum(square)

def shown(total: int) -> str:
    called("shown")
    return str(total)
"""


def test_branches_are_kept_one_by_one(project: Kept) -> None:
    """What makes and collects them runs each time."""
    assert {"part": 1, "square": 3, "total": 1, "shown": 1} == _tally(project.run(BRANCHES, {"x": 3}))
    values, _ = found = project.run(BRANCHES, {"x": 4})
    assert {"shown": "14"} == values
    assert {"part": 1, "square": 1, "total": 1, "shown": 1} == _tally(found)
    assert {"part": 1, "total": 1} == _tally(project.run(BRANCHES, {"x": 4}))


def _tally(found: tuple[Any, list[str]]) -> dict[str, int]:
    return {name: found[1].count(name) for name in dict.fromkeys(found[1])}


COMPOSED = """
import time
TRIES = []

@when(lambda x: x > 0)
@cached()
@retry(3, on=ValueError)
@timeout("5s")
def a(x: int) -> int:
    called("a")
    if CALLS.count("a") < 2:
        raise ValueError(x)
    return x

from tests.cache.counting import CALLS

def b(a: int | None) -> str:
    called("b")
    return str(a)
"""


@pytest.mark.parametrize("cache", [CacheSpec(), ALL])
def test_a_cache_stands_between_condition_and_retries(project: Kept, cache: CacheSpec) -> None:
    """A skipped node asks it for nothing; what took two calls is kept, and takes none."""
    kept_b = [] if cache.enabled else ["b"]
    assert ({"b": "None"}, ["b"]) == project.run(COMPOSED, {"x": -1}, cache)
    assert ({"b": "None"}, kept_b) == project.run(COMPOSED, {"x": -1}, cache)
    assert ({"b": "5"}, ["a", "a", "b"]) == project.run(COMPOSED, {"x": 5}, cache)
    assert ({"b": "5"}, kept_b) == project.run(COMPOSED, {"x": 5}, cache)


def test_a_condition_is_asked_in_every_run(project: Kept) -> None:
    """Also of a node that `run.cache` takes in: its answer may hang on more than its inputs."""
    source = """
from tests.cache.counting import CALLS, called

def _answer(x: int) -> bool:
    called("answer")
    return True

@when(_answer)
def a(x: int) -> int:
    called("a")
    return x
"""
    assert ["answer", "a"] == project.run(source, {"x": 1})[1]
    assert ["answer"] == project.run(source, {"x": 1})[1]


def test_hamiltons_own_mark_counts(project: Kept) -> None:
    """`@cache(behavior=…)`: disable, recompute."""
    source = """
from hamilton.function_modifiers import cache

@cache(behavior="disable")
def a(x: int) -> int:
    called("a")
    return x

@cache(behavior="recompute")
def b(x: int) -> int:
    called("b")
    return x

def c(a: int, b: int) -> int:
    called("c")
    return a + b
"""
    project.run(source, {"x": 1})
    assert ["a", "b"] == project.run(source, {"x": 1})[1]


def test_savers_save_in_every_run(project: Kept) -> None:
    """That they ran is the point of them."""
    source = """
from hamilton.function_modifiers import save_to, value

@save_to.json(path=value("FILE"), output_name_="saved")
def a(x: int) -> dict:
    called("a")
    return {"x": x}
""".replace("FILE", str(project.root / "out.json"))
    for _ in range(2):
        project.run(source, {"x": 1}, final_vars=("saved",))
        assert (project.root / "out.json").exists()
        (project.root / "out.json").unlink()
    assert [] == CALLS


OBJECTS = """
import enum
from dataclasses import dataclass
from typing import NamedTuple
from pydantic import BaseModel

class Level(enum.Enum):
    HIGH = "high"

@dataclass(frozen=True)
class Reading:
    value: float
    level: Level

class Model(BaseModel):
    readings: list[Reading]

class Pair(NamedTuple):
    one: int
    two: Model

def readings(x: float) -> list[Reading]:
    called("readings")
    return [Reading(x, Level.HIGH)]

def model(readings: list[Reading]) -> Model:
    called("model")
    return Model(readings=readings)

def pair(model: Model) -> Pair | None:
    called("pair")
    return Pair(1, model)

def shown(pair: Pair | None) -> str:
    called("shown")
    return repr(pair)
"""


def test_objects_of_the_projects_classes_are_kept(project: Kept) -> None:
    """Where a type hint names the class; what comes back is of the class as the module has it now."""
    expected, calls = project.run(OBJECTS, {"x": 1.0}, final_vars=("shown", "pair"))
    assert ["readings", "model", "pair", "shown"] == calls
    values, calls = project.run(OBJECTS, {"x": 1.0}, final_vars=("shown", "pair"))

    assert [] == calls
    assert expected["shown"] == values["shown"] == repr(values["pair"])
    assert type(values["pair"]) is project.catalogue.graph(project.pipeline(cache=ALL)).module.Pair


def test_an_object_of_a_class_that_no_hint_names_is_computed(project: Kept) -> None:
    """It would have to be found by a name in the data."""
    source = OBJECTS.replace("-> list[Reading]", "-> list")
    for _ in range(2):
        assert "readings" in project.run(source, {"x": 1.0}, final_vars=("readings",))[1]
    assert 1 == project.counts()["unencodable"]


def test_tables_are_kept(project: Kept) -> None:
    """Through Arrow, with types and index."""
    source = """
import pandas as pd
import numpy as np

def frame(x: int) -> pd.DataFrame:
    called("frame")
    return pd.DataFrame({"a": np.arange(x), "b": list("uvw")}, index=pd.date_range("2026-01-01", periods=3))

def column(frame: pd.DataFrame) -> pd.Series:
    called("column")
    return frame["a"] * 2

def array(column: pd.Series) -> np.ndarray:
    called("array")
    return column.to_numpy()
"""
    first, calls = project.run(source, {"x": 3}, final_vars=("frame", "column", "array"))
    assert ["frame", "column", "array"] == calls
    again, calls = project.run(source, {"x": 3}, final_vars=("frame", "column", "array"))
    assert [] == calls
    assert all(type(first[name]) is type(again[name]) for name in first)
    assert first["array"].tolist() == again["array"].tolist()
    assert first["frame"].equals(again["frame"])
    assert "D" == again["frame"].index.freqstr


@pytest.mark.parametrize("key", ["only", "recompute", "disable"])
def test_an_unknown_node_is_an_error(project: Kept, key: str) -> None:
    """With what is meant, found before anything runs."""
    names: dict[str, Any] = {key: ("bb",)}
    pipeline = project.pipeline(
        HEAD + MARKED, cache=CacheSpec(enabled=True, **names), origins={f"run.cache.{key}": "conf/work.yml:3"}
    )
    with pytest.raises(ConfigError) as error:
        project.catalogue.plan(pipeline)
    assert (
        f"conf/work.yml:3: `cache.{key}` names 'bb', but module 'pipelines.work' has no such function; "
        "did you mean 'b'?"
    ) == str(error.value)


def test_hits_stand_in_the_trace(project: Kept) -> None:
    """As `cached`; and the plan says that it is worth one."""
    statuses = []
    for source in (TWO, TWO, MARKED, MARKED):
        project.renew()
        plan = project.catalogue.plan(project.pipeline(HEAD + source, cache=ALL))
        assert plan.is_marked
        run = plan.traced()
        run.execute({"x": 1, "line": "a"} if source is MARKED else {"x": 1})
        statuses.append({record.node: record.status for record in run.nodes()})
    assert [
        {"a": "succeeded", "b": "succeeded"},
        {"a": "cached", "b": "cached"},
        {"a": "succeeded", "b": "succeeded", "c": "succeeded", "d": "succeeded"},
        {"a": "cached", "b": "cached", "c": "succeeded", "d": "cached"},
    ] == statuses


def test_without_a_cache_the_code_is_what_it_was(project: Kept) -> None:
    """No guard stands around a node that is not kept, and no store is opened."""
    pipeline = project.pipeline(HEAD + TWO)
    plan = project.catalogue.plan(pipeline)
    assert ({}, False) == (dict(plan.selection.calls), plan.is_marked)
    assert {} == project.caches.counts()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (True, CacheSpec(enabled=True, ttl=5.0, url="u")),
        (False, CacheSpec(enabled=False, only=("a",), ttl=5.0, url="u")),
        (
            {"recompute": ["x"], "disable": False},
            CacheSpec(enabled=True, only=("a",), recompute=("x",), ttl=5.0, url="u"),
        ),
        ({}, CacheSpec(enabled=True, only=("a",), ttl=5.0, url="u")),
        ({"enabled": False}, CacheSpec(enabled=False, only=("a",), ttl=5.0, url="u")),
        ({"only": None, "disable": ["b"]}, CacheSpec(enabled=True, disable=("b",), ttl=5.0, url="u")),
        ({"disable": True}, CacheSpec(enabled=False, only=("a",), ttl=5.0, url="u")),
        ({"recompute": True, "ttl": "1m"}, CacheSpec(enabled=True, only=("a",), recompute=True, ttl=60.0, url="u")),
        ({"only": ["b"], "ttl": None}, CacheSpec(enabled=True, only=("b",), url="u")),
    ],
)
def test_a_run_says_differently(asked: Any, expected: CacheSpec) -> None:
    """Above the pipeline's nodes; where values are kept stays."""
    assert expected == CacheSpec(enabled=True, only=("a",), ttl=5.0, url="u").over(asked)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (5, "cache must be true, false or an object"),
        ({"url": "x"}, "cache.url belongs to the pipeline's configuration"),
        ({"recomputed": []}, "cache has no key 'recomputed'"),
        ({"only": "a"}, "cache.only must be a list of nodes"),
        ({"ttl": -1}, "cache.ttl must be a duration"),
        ({"ttl": 0}, "cache.ttl must be a duration"),
        ({"enabled": 1}, "cache.enabled must be true or false"),
    ],
)
def test_a_run_that_says_nonsense_is_refused(asked: Any, says: str) -> None:
    """With one sentence."""
    with pytest.raises(ValueError, match=says):
        CacheSpec().over(asked)


def test_a_mark_that_settings_switch_off_is_warned_of(project: Kept) -> None:
    """`cache: false` stands in many files that know nothing of marks."""
    where = {"run.cache.enabled": "conf/pipelines/work.yml:2"}
    (problem,) = project.catalogue.check(
        project.pipeline(HEAD + MARKED, cache=CacheSpec(enabled=False), origins=where, final_vars=("b",))
    )
    assert problem.warning
    assert (
        "conf/pipelines/work.yml:2: @cached of 'b' at pipelines/work.py:9 keeps nothing; "
        "take `cache: false` away, unless that is what you want"
    ) == str(problem)
    assert [] == project.catalogue.check(project.pipeline(HEAD + MARKED, origins=where))
