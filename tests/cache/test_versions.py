"""Whatever a kept function uses is a part of its version: an edit that is missed would be a wrong value."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fp_events.plans.caching import PlanCaching
from fp_events.plans.catalogue import Catalogue
from tests.plans.projects import Project

CODE = '''
import array, collections, datetime, decimal, functools, operator, random, re
from pathlib import Path

import numpy as np
import pydantic
import pkg.mod
from pkg import two

PATTERN = re.compile("p10")
DAY = datetime.date.fromordinal(700000 + 11)
EXACT = decimal.Decimal("12.5")
WHERE = Path("p13")
ARRAY = np.array([14])
QUEUE = collections.deque([15])
NESTED = {"k": [1, {"z": 16}]}
ORDERED = collections.OrderedDict(q=17)
GETTER = operator.itemgetter(18)
RANDOM = random.Random(19)
MACHINE = array.array("i", [20])
TEXT = frozenset({"a21", "b", "c"})


@functools.cache
def cached_helper(x: int) -> int:
    return x + 22


def _around(function):
    @functools.wraps(function)
    def inner(*given, **named):
        return function(*given, **named) + 23

    return inner


@_around
def _decorated(x: int) -> int:
    return x + 24


class _Base:
    def inherited(self) -> int:
        return 25


class _Object(_Base):
    LIMIT = 26

    def __init__(self, n):
        self.n = n

    def __call__(self, x):
        return x + self.n + 27


class _Codes(dict):
    pass


class _Pair(collections.namedtuple("_Pair", "a")):
    def method(self):
        return 28


class Model(pydantic.BaseModel):
    a: int = pydantic.Field(gt=29)


OBJECT = _Object(30)
PARTIAL = functools.partial(_decorated, x=31)
LAMBDAS = [lambda x: x + 32]
CODES = _Codes(a=33)
PAIR = _Pair(1)


def node(x: int, default: int = 34) -> str:
    """Uses all of it."""
    from late import f
    from .sibling import g
    import pkg.three as three

    def inner(y):
        return y + 35

    f(x), g(x), three.h(x), two.k(x), pkg.mod.p(x), inner(x)
    cached_helper(x), _decorated(x), OBJECT(x), PARTIAL(), LAMBDAS[0](x), PAIR.method(), Model(a=100)
    return str((PATTERN, DAY, EXACT, WHERE, ARRAY, QUEUE, NESTED, ORDERED, GETTER, RANDOM, MACHINE, TEXT, CODES))
'''
FILES = {
    "pkg/__init__.py": "",
    "pkg/mod.py": "def p(x):\n    return x + 36\n",
    "pkg/two.py": "from .deep import d\n\n\ndef k(x):\n    return d(x)\n",
    "pkg/deep.py": "def d(x):\n    return x + 37\n",
    "pkg/three.py": "from late2 import q\n\n\ndef h(x):\n    return q(x)\n",
    "late.py": "import pkg.later\n\n\ndef f(x):\n    return x + 38\n",
    "pkg/later.py": "VALUE = 39\n",
    "late2.py": "def q(x):\n    return x + 40\n",
    "pipelines/sibling.py": "def g(x):\n    return x + 41\n",
}


def version(project: Project, old: str = "", new: str = "") -> tuple[str, str]:
    """Of the plan, and of the kept node, after an edit."""
    for name, text in FILES.items():
        project.write(name, text.replace(old, new) if old else text)
    catalogue = Catalogue(project.root)
    pipeline = project.pipeline(CODE.replace(old, new) if old else CODE)
    plan = catalogue.plan(pipeline)
    generation = plan.selection.graph.generation
    caching = PlanCaching(generation, pipeline.cache, {}, lambda: pytest.fail("no store is needed"))
    return plan.ref.version, caching.version("node", plan.selection.graph.nodes["node"].callable, {}, None)


#: Libraries whose values another process may make otherwise: they are no part of the plan's version.
ONLY_KEPT = {"19", "20", "29"}


def test_every_edit_is_noticed(project: Project) -> None:
    """In constants of all kinds, decorated and cached helpers, classes, modules imported late and far away."""
    before = version(project)
    assert before == version(project)
    missed = []
    for number in map(str, range(10, 42)):
        plan, node = version(project, number, "99")
        if node == before[1] or (plan == before[0] and number not in ONLY_KEPT):
            missed.append(number)
    assert [] == missed


def test_comments_and_layout_are_none(project: Project) -> None:
    """Nor docstrings and functions that are not used."""
    before = version(project)
    assert before == version(project, '    """Uses all of it."""\n', '    """Does."""\n    # as it says\n\n')
    assert before == version(project, "class _Codes", "def _other(x: int) -> int:\n    return 1\n\n\nclass _Codes")
    assert before == version(project, "    return x + 38\n", "    # far away\n\n    return x + 38\n")


def test_a_version_is_the_same_in_every_process(project: Project) -> None:
    """Whatever the seed of hashes."""
    expected = version(project)
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from tests.cache.test_versions import version\n"
        "from tests.plans.projects import Project\n"
        "print(*version(Project(Path(sys.argv[1]))))"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-c", program, str(project.root), str(root)],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert " ".join(expected) == found.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return Project(tmp_path)
