"""Settings, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fp_events.config.yamlfile import read_yaml
from fp_events.migrate.reading import Reference, reference
from fp_events.migrate.writing import Noted, document

from . import projects
from .conftest import Program


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("plain", "plain"),
        ("${HOST}", "${HOST:-}"),
        ("$HOST:1883", "${HOST:-}:1883"),
        ("${HOST:-localhost}", "${HOST:-localhost}"),
        ("${HOST-localhost}", "${HOST:-localhost}"),
        ("${HOST:?say where}", "${HOST:?say where}"),
        ("${HOST?say where}", "${HOST:?say where}"),
        ("5 $$", "5 $"),
        ("${not a name}", "$${not a name}"),
    ],
)
def test_references_are_spelt_as_here(old: str, new: str) -> None:
    """What was nothing where a variable is not set is nothing still."""
    assert new == reference(old)


NASTY: dict[Any, Any] = {
    "yes": "no", "octal": "0o17", "number": "1e3", "null": "null", "empty": "", "colon": "a: b", "hash": "a #b",
    "star": "*a", "lines": "a\nb\n", "tab": "a\tb", "quote": "it's \"so\"", "percent": "50 %", "time": "12:30:45",
    "unicode": "Wärme \x85 \u2028 🌡", "url": "mqtt://h:1883", "float": 1e-7, "large": 1e22, "int": 10**18,
    "true": True, "none": None, "list": [1, [2, []], {"a": {"b": [{"c": 1}]}}, {}], "1": {"2": "3"}, "dash": "- a",
    "date": "2024-01-31", "tilde": "~", "bang": "!x", "under": "1_000", "space": " a ",
}  # fmt: skip


def test_what_is_written_means_the_same_in_both_versions_of_yaml() -> None:
    """Values that either version would take for something else."""
    text = document({**NASTY, "noted": Noted({"a": 1}, "why\nand how")}, "head")

    layer, problems = read_yaml(text, file="x.yml", environ={})

    assert [] == problems
    assert {**NASTY, "noted": {"a": 1}} == layer.data == yaml.safe_load(text)


def test_a_reference_is_written_so_that_its_key_decides_its_type() -> None:
    """A number where a number is wanted."""
    text = document({"run": {"max_retries": Reference("${TRIES:-3}"), "config": {"a": Reference("x-${A:-b: c}")}}}, "")

    layer, problems = read_yaml(text, file="x.yml", environ={})

    assert [] == problems
    assert ("3", True) == (layer.data["run"]["max_retries"], layer.data["run"]["max_retries"].whole)
    assert "x-b: c" == layer.data["run"]["config"]["a"]


def migrated(files: dict[str, str], tmp_path: Path, program: Program) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """A project of one pipeline `a`: its new YAML, and what is told."""
    base = {"conf/project.yml": "name: a\n", "pipelines/a.py": "def b(c: int = 1) -> int: return c\n"}
    old = projects.write({**base, **files}, tmp_path / "old")
    told = program("migrate", old, "--json").json
    path = tmp_path / "old-fp-events/conf/pipelines/a.yml"
    return (yaml.safe_load(path.read_text()) if path.is_file() else {}), told["changes"]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ('cron: "*/5 * * * *"', {"cron": "*/5 * * * *"}),
        ("cron: {hour: 3, day: null}", {"cron": {"hour": 3}}),
        ("interval: 1h30m", {"interval": "1h30m"}),
        ("interval: {hours: 4, minutes: 30}", {"interval": {"hours": 4, "minutes": 30}}),
        ("date: 2030-07-01T10:00:00", {"date": "2030-07-01T10:00:00"}),
        ("{cron: null, interval: null, date: null}", None),
        ("trigger: {type_: interval, hours: 2, minutes: 0, day: null}\nrun: {id_: x, coalesce: all}",
         {"interval": {"hours": 2}, "id": "x", "coalesce": "all"}),
        ("trigger: {type_: interval, interval: {seconds: 2, microseconds: 500000}}", {"interval": 2.5}),
        ("trigger: {type_: cron, crontab: '0 5 * * *', timezone: Europe/Berlin}",
         {"cron": "0 5 * * *", "timezone": "Europe/Berlin"}),
        ("trigger: {type_: date, date: {run_time: 2030-07-01 10:00:00}}", {"date": "2030-07-01T10:00:00"}),
        ("trigger: {type_: calendar, calendar: {days: 1, hour: 3, minute: 30, timezone: UTC}}",
         {"cron": {"hour": 3, "minute": 30, "second": 0}, "timezone": "UTC"}),
        ("trigger: {type_: calendar, calendar: {weeks: 1, start_date: 2024-05-16}}",
         {"cron": {"day_of_week": 3, "hour": 0, "minute": 0, "second": 0}, "start": "2024-05-16"}),
        ("trigger: {type_: calendar, calendar: {months: 1, start_date: 2024-05-16, end_date: 2034-05-16}}",
         {"cron": {"day": 16, "hour": 0, "minute": 0, "second": 0}, "start": "2024-05-16", "end": "2034-05-16"}),
        ("trigger: {type_: cron, cron: {hour: 6}}\nrun: {max_jitter: 30, misfire_grace_time: 60, paused: true}",
         {"cron": {"hour": 6}, "jitter": 30, "misfire_grace": 60, "enabled": False}),
    ],
)  # fmt: skip
def test_schedules(schedule: str, expected: dict[str, Any] | None, tmp_path: Path, program: Program) -> None:
    """Rules and policies of all versions; each is one that `check` takes."""
    text = "schedule:\n" + "".join(f"  {line}\n" for line in schedule.splitlines())

    new, _ = migrated({"conf/pipelines/a.yml": text}, tmp_path, program)

    assert expected == new.get("schedule")
    assert 0 == program("check", "--project", tmp_path / "old-fp-events").code


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("executor: processpool", {"executor": {"type": "processpool"}}),
        ("executor: {type: synchronous, max_workers: 4}", {"executor": {"type": "local"}}),
        ("executor: {max_workers: 4}", {"executor": {"type": "threadpool", "max_workers": 4}}),
        ("executor: {type: null, num_cpus: 4}", {}),
        ("log_level: debug", {"log_level": "DEBUG"}),
        ("retry: {max_retries: 1, retry_exceptions: ValueError}\nmax_retries: 5",
         {"max_retries": 1, "retry_exceptions": ["ValueError"]}),
        ("retry_exceptions: [\"<class 'ValueError'>\"]", {"retry_exceptions": ["ValueError"]}),
        ("inputs: {c: 2, d: 3}", {"inputs": {"c": 2}}),
        ("inputs: {c: 2}\nconfig: {c: 3}", {"config": {"c": 3}}),
        ("reload: false\nadapter: null\nasync_driver: null", {}),
    ],
)  # fmt: skip
def test_run(run: str, expected: dict[str, Any], tmp_path: Path, program: Program) -> None:
    """What differs from one version to another."""
    text = "run:\n" + "".join(f"  {line}\n" for line in run.splitlines())

    new, _ = migrated({"conf/pipelines/a.yml": text}, tmp_path, program)

    assert expected == new.get("run", {})


def test_a_key_that_nobody_knows_is_told(tmp_path: Path, program: Program) -> None:
    """Of a project, of a pipeline, and of a block; where it says nothing, not a word."""
    files = {
        "conf/project.yml": "name: a\ncolour: red\nempty: {}\n",
        "conf/pipelines/a.yml": "run: {speed: 9, slow: false}\nowner: me\n",
    }

    _, changes = migrated(files, tmp_path, program)

    told = {(change["where"], change["key"]) for change in changes if change["kind"] == "todo"}
    assert {("conf/project.yml:2", "colour"), ("conf/pipelines/a.yml:1", "run.speed"),
            ("conf/pipelines/a.yml:2", "owner")} == told  # fmt: skip


def test_a_job_queue_names_the_executor_that_has_its_workers(tmp_path: Path, program: Program) -> None:
    """The line to write is one that this program takes."""
    queue = "{type: rq, num_workers: 3, backend: {host: redis.example, ssl: true, queues: 'high, low'}}"

    _, changes = migrated({"conf/project.yml": f"name: a\njob_queue: {queue}\n"}, tmp_path, program)

    [note] = [change["note"] for change in changes if change["key"] == "job_queue.type"]
    assert "`run: {executor: {type: rq, url: rediss://redis.example:6379/0, queue: high}}`" in note
    assert note.endswith("`fp-events worker rq --num-workers 3`")


@pytest.mark.parametrize(
    ("module", "params", "expected", "left"),
    [
        # A parameter of two functions stays with each of them, in the module.
        (
            """\
from hamilton.function_modifiers import parameterize
from flowerpower.cfg import Config
PARAMS = Config.load(".", "a").pipeline.h_params

@parameterize(**PARAMS["x"])
def x(n: int) -> int: return n

@parameterize(**PARAMS.y)
def y(n: int, x: int) -> int: return n * x
""",
            {"x": {"n": 2}, "y": {"n": 3}},
            {"y": 6},
            None,
        ),
        # Text that names another key is that key's node.
        (
            """\
from hamilton.function_modifiers import parameterize
from flowerpower.cfg import Config
PARAMS = Config.load(".", "a").pipeline.h_params

@parameterize(**PARAMS.x)
def x(n: int) -> int: return n

@parameterize(**PARAMS.y)
def y(m: int) -> int: return m * 10
""",
            {"x": {"n": 2}, "y": {"m": "x"}},
            {"y": 20},
            {"n": 2},
        ),
        # Read as plain values, by attribute and by key.
        (
            """\
from flowerpower.cfg import Config
SETTINGS = Config.load(".", pipeline_name="a").pipeline.params

def y() -> int: return SETTINGS.x.n + SETTINGS["z"] + SETTINGS.get("w", 1)
""",
            {"x": {"n": 2}, "z": 3},
            {"y": 6},
            None,
        ),
        # A decorator that changes what its function takes keeps its place.
        (
            """\
from hamilton.function_modifiers import parameterize, extract_fields
from flowerpower.cfg import Config
PARAMS = Config.load(".", "a").pipeline.h_params

@extract_fields({"p": int})
@parameterize(**PARAMS.x)
def x(n: int) -> dict: return {"p": n}

def y(p: int) -> int: return p
""",
            {"x": {"n": 2}},
            {"y": 2},
            None,
        ),
    ],
    ids=["same parameter twice", "another key's value", "plain", "other decorators"],
)
def test_modules_compute_what_they_did(
    module: str, params: dict[str, Any], expected: dict[str, Any], left: Any, tmp_path: Path, program: Program
) -> None:
    """Where parameters cannot be filled by name, their values stand in the module; the rest is taken out."""
    files = {"conf/pipelines/a.yml": yaml.safe_dump({"params": params, "run": {"final_vars": ["y"]}})}

    new, _ = migrated({**files, "pipelines/a.py": module}, tmp_path, program)
    ended = program("run", "a", "--project", tmp_path / "old-fp-events", "--json")

    assert (0, expected) == (ended.code, ended.json)
    assert left == new.get("params")
    assert "flowerpower" not in (tmp_path / "old-fp-events/pipelines/a.py").read_text()


def test_what_else_a_module_has_of_flowerpower_is_told(tmp_path: Path, program: Program) -> None:
    """Its line, and what to use in its stead; the line stays."""
    module = "from flowerpower.plugins.mqtt import MqttManager\n\n\ndef y() -> int: return MqttManager().port\n"

    _, changes = migrated({"pipelines/a.py": module}, tmp_path, program)

    assert [("pipelines/a.py:1", "messages run pipelines through `triggers`; `fp-events serve` is the listener")] == [
        (change["where"], change["note"]) for change in changes if change["key"] == "import"
    ]
    assert module == (tmp_path / "old-fp-events/pipelines/a.py").read_text()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("import os; PARAMS = Config.load('.', 'a').pipeline.params\n", "import os; pass\n"),
        ("if True:\n    PARAMS = Config.load('.', 'a').pipeline.params\n", None),
    ],
    ids=["beside another", "in a block"],
)
def test_statements_that_share_their_lines(lines: str, expected: str | None, tmp_path: Path, program: Program) -> None:
    """Only they go; what is not at the top of the module is told."""
    module = (
        "try:\n    from flowerpower.cfg import Config\nexcept ImportError:\n    pass\n"
        + lines
        + "\n\ndef b(c: int = 1) -> int:\n    return c\n"
    )

    _, changes = migrated({"pipelines/a.py": module}, tmp_path, program)

    new = (tmp_path / "old-fp-events/pipelines/a.py").read_text()
    compile(new, "a.py", "exec")
    if expected is None:
        assert "pipelines/a.py:2" in {change["where"] for change in changes if change["kind"] == "todo"}
    else:
        assert expected in new
        assert "from flowerpower" not in new
