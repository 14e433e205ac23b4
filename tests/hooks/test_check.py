"""What `check` says of hooks and resources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fp_events import app, config
from tests.endtoend.harness import write_project

MODULE = """
def result(n: int, pool: object, line: str = "a") -> int:
    return n


def unused(pol: int) -> int:
    return pol
"""
HOOKS = """
def unpack(payload, topic):
    return {"n": 1}


def anything(**parts):
    return None


def positional(payload, /):
    return None


def begin():
    pass


def streams(record):
    yield 1


async def later(call):
    pass


def open_pool(dsn, size=4):
    return (dsn, size)


def free():
    return 1


LIMIT = 3
"""
TRIGGER = {"topic": "in/{line}", "map": {"n": "payload.n"}}
GOOD: dict[str, Any] = {
    "triggers": [TRIGGER],
    "run": {"final_vars": ["result"]},
    "resources": {"pool": "hooks.h:free"},
}
Y = "conf/pipelines/p.yml:1"


def problems(folder: Path, project: dict[str, Any] | None = None, module: str = HOOKS, **settings: Any) -> list[str]:
    files = {
        "conf/project.yml": json.dumps({"name": "p", **(project or {})}),
        "conf/pipelines/p.yml": json.dumps({**GOOD, **settings}),
        "pipelines/p.py": MODULE,
        "hooks/h.py": module,
    }
    return [str(problem) for problem in app.check(config.load(write_project(folder, files), environ={}))]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, []),
        ({"hooks": {"message": ["hooks.h:unpack", "hooks.h:anything"]}}, []),
        # What a message hook gives is not missed.
        ({"hooks": {"message": "hooks.h:unpack"}, "triggers": [{"topic": "in", "map": {}}]}, []),
        (
            {"hooks": {"message": "hooks.g:unpack"}},
            [
                (
                    f"{Y}: message hooks.g:unpack cannot be imported: there is no module 'hooks.g'; "
                    "`fp-events new --hook g` makes one"
                )
            ],
        ),
        (
            {"hooks": {"message": "hooks.h:positional"}},
            [
                (
                    "hooks/h.py:10: message hooks.h:positional asks for 'payload', and a message hook is given payload, "
                    "topic, message, captures by name; change its parameters"
                )
            ],
        ),
        (
            {"hooks": {"on_retry": "hooks.h:begin"}},
            [
                (
                    "hooks/h.py:14: on_retry hooks.h:begin is called with one argument (RetryRecord), and takes none; "
                    "change its parameters"
                )
            ],
        ),
        (
            {"hooks": {"after_run": "hooks.h:LIMIT"}},
            [
                (
                    f"{Y}: after_run hooks.h:LIMIT: there is no function 'LIMIT' in module 'hooks.h'; it has unpack, "
                    "anything, positional, begin, streams, later, open_pool, free"
                )
            ],
        ),
        (
            {"hooks": {"before_run": "hooks.h:streams"}},
            [
                "hooks/h.py:18: before_run hooks.h:streams is a generator, and a hook returns; change its parameters",
            ],
        ),
        (
            {"hooks": {"before_node": "hooks.h:later"}},
            [
                (
                    "hooks/h.py:22: before_node hooks.h:later is async, and no function of pipeline 'p' awaits; write it "
                    "as an ordinary function"
                )
            ],
        ),
        (
            {"resources": {"pool": "hooks.h:free", "line2": "hooks.h:free"}},
            [
                f"{Y}: `resources` opens 'line2', but no function takes that; did you mean 'line'?",
            ],
        ),
        (
            {"resources": {"pool": "hooks.h:free", "result": "hooks.h:free"}},
            [
                (
                    f"{Y}: `resources` opens 'result', which function 'result' at pipelines/p.py:2 computes; rename one of "
                    "them"
                )
            ],
        ),
        (
            {"resources": {"pool": "hooks.h:free"}, "run": {"final_vars": ["result", "pool"]}},
            [
                (
                    f"{Y}: 'pool' is a resource, which stays with its worker and cannot be a result; ask for a node that "
                    "uses it"
                )
            ],
        ),
        ({"resources": {"pool": "hooks.h:open_pool"}, "params": {"dsn": "x", "size": 1}}, []),
        (
            {"resources": {"pool": "hooks.h:open_pool"}, "params": {"size": 1}},
            [
                (
                    "hooks/h.py:26: resource 'pool' hooks.h:open_pool asks for 'dsn', which neither `params` nor "
                    "`run.inputs` gives; give it there, or a default"
                )
            ],
        ),
    ],
)
def test_hooks_and_resources_are_checked(tmp_path: Path, settings: dict[str, Any], said: list[str]) -> None:
    """Each with one sentence, and nothing else is said because of it."""
    assert said == problems(tmp_path, **settings)


def test_a_module_that_cannot_be_imported_is_named_with_its_line(tmp_path: Path) -> None:
    """Once for all the hooks in it."""
    found = problems(tmp_path, module=HOOKS + "\nTABLE = {}['limits']\n", resources={"pool": "hooks.h:free"})
    assert ["hooks/h.py:36: module 'hooks.h' cannot be imported: KeyError: 'limits'; mend the module"] == found


def test_a_resource_of_the_project_is_for_those_that_take_it(tmp_path: Path) -> None:
    """Nobody else has to have what it asks for; the pipeline's own takes its place."""
    project = {"resources": {"other": "hooks.h:open_pool", "pool": "hooks.h:open_pool"}}
    assert [] == problems(tmp_path, project)
    assert ["hooks/h.py:26"] == [text.partition(": ")[0] for text in problems(tmp_path, project, resources={})]
