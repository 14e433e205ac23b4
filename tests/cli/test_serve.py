"""`serve` and what works without it; exit codes."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import free_port, require_program

from .conftest import Daemon, Program, call, counting_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose daemon does not run."""
    return counting_project(tmp_path)


@dataclass(frozen=True, slots=True)
class Served:
    """A project whose daemon took one message and was sent SIGTERM. For tests that only look."""

    folder: Path
    #: Fields of the event `serving`.
    told: dict[str, Any]
    code: int
    #: Its last words.
    said: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """One message, one run, one drain."""
    require_program("mosquitto")
    folder = counting_project(tmp_path_factory.mktemp("served"))
    daemon = Daemon(folder)
    try:
        told = daemon.serving()
        call(["publish", "in/a", '{"value": 1}'], folder)
        code, said = daemon.end()
    finally:
        daemon.kill()
    return Served(folder, told, code, said)


def test_sigterm_drains_and_ends_well(served: Served) -> None:
    """Exit code 0, after what was taken has run."""
    assert [each["filter"] for each in served.told["subscriptions"] if each["pipelines"]] == ["in/+"]
    assert (served.code, '"event":"stopped","drained":true' in served.said) == (0, True)


def test_without_a_daemon_the_ledger_answers(served: Served, program: Program) -> None:
    """What ran is listed, the file is looked after; what needs a daemon says so."""
    (run,) = program(["runs", "list", "--json"], served.folder).json
    assert (run["pipeline"], run["outcome"]) == ("counting", "succeeded")
    assert [program([verb], served.folder).code for verb in ("status", "tap")] == [69, 69]
    assert [program(["ledger", verb], served.folder).code for verb in ("check", "vacuum")] == [0, 0]


LISTINGS = pytest.mark.parametrize("listing", ["runs list", "dlq list", "state list"])


@LISTINGS
def test_a_listing_of_a_pipeline_that_never_was_names_the_nearest(
    served: Served, program: Program, listing: str
) -> None:
    """A typo does not look like an empty answer."""
    ended = program([*listing.split(), "-p", "countin"], served.folder)
    assert (ended.code, ended.out, ended.err) == (
        64,
        "",
        "error: there is no pipeline 'countin'; did you mean 'counting'?\n",
    )


@LISTINGS
def test_what_a_deleted_pipeline_left_is_within_reach(
    served: Served, program: Program, tmp_path: Path, listing: str
) -> None:
    """Rows in the ledger make its name a known one."""
    folder = tmp_path / "later"
    shutil.copytree(served.folder, folder, ignore=shutil.ignore_patterns("*.sock", "counting.*"))
    (folder / "conf/project.yml").write_text("name: counting\n")
    assert program([*listing.split(), "-p", "counting"], folder).code == 0
    assert program([*listing.split(), "-p", "countin"], folder).code == 64


@pytest.mark.parametrize(
    "arguments",
    [["state", "reset", "countin", "--all"], ["dlq", "purge", "--all", "-p", "countin"]],
)
def test_nothing_is_asked_about_a_pipeline_that_never_was(
    served: Served, program: Program, arguments: list[str]
) -> None:
    """The typo is told before the question."""
    ended = program(arguments, served.folder)
    assert (ended.code, "did you mean 'counting'?" in ended.err) == (64, True)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--log-level", "LOUD"], "'--log-level'"),
        (["--mqtt-url", "nonsense"], "--mqtt-url: "),
        (["--mqtt-url", ""], "--mqtt-url: "),
    ],
)
def test_a_wrong_option_is_no_wrong_configuration(
    project: Path, program: Program, options: list[str], named: str
) -> None:
    """Exit code 64, and the option is named."""
    ended = program(["serve", *options], project)
    assert (ended.code, named in ended.err, len(ended.err.splitlines())) == (64, True, 1)


def test_on_a_terminal_a_person_is_told_what_is_served(project: Path) -> None:
    """Topics, pipelines, how to end; Ctrl-C ends it."""
    require_program("mosquitto")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "fp_events.cli", "serve"],
        cwd=project,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"},
    ) as process:
        os.close(theirs)
        said = b""
        try:
            # A terminal whose program has ended answers with an error.
            with contextlib.suppress(OSError):
                while b"Ctrl-C" not in said:
                    said += os.read(ours, 4096)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
            os.close(ours)
    text = said.decode()
    assert all(word in text for word in ("serving from mqtt://127.0.0.1:", "in/+", "counting")), text


def test_wrong_configuration_ends_before_anything_starts(project: Path, program: Program) -> None:
    """All problems, one a line, with file and line; no broker is started."""
    (project / "conf/pipelines/counting.yml").write_text(
        "triggers:\n  - topic: in/{source}\n    map: {vlaue: payload.value}\n"
    )
    ended = program(["serve"], project)
    assert ended.code == 78
    assert all(line.startswith("error: ") for line in ended.err.splitlines())
    assert "conf/pipelines/counting.yml:" in ended.err
    assert not (project / ".fp-events" / "broker.json").exists()


def test_fail_fast_without_a_broker_ends_with_69(project: Path) -> None:
    """The address and the mend are told."""
    url = f"mqtt://127.0.0.1:{free_port()}"
    ended = call(["serve", "--fail-fast", "--mqtt-url", url], project)
    assert (ended.code, url in ended.err.splitlines()[-1]) == (69, True)
    assert "Traceback" not in ended.err


def test_publishing_to_nobody_ends_with_69_at_once(project: Path, program: Program) -> None:
    """One sentence with the address."""
    url = f"mqtt://127.0.0.1:{free_port()}"
    ended = program(["publish", "a", "b", "--mqtt-url", url], project)
    assert (ended.code, len(ended.err.splitlines()), ended.err.count(url)) == (69, 1, 1)


def test_an_embedded_broker_that_does_not_run_is_named(project: Path, program: Program) -> None:
    """And how to start it."""
    ended = program(["publish", "a", "b"], project)
    assert (ended.code, "start it with `fp-events serve`" in ended.err) == (69, True)


def test_run_prints_values_and_tells_by_its_exit_code(project: Path, program: Program) -> None:
    """In the foreground, without broker and ledger."""
    good = program(["run", "counting", "--inputs", '{"value": 4}', "-i", "source=here", "--json"], project)
    assert (good.code, good.json["total"]) == (0, {"source": "here", "count": 1, "value": 4})
    assert "succeeded in " in good.err
    bad = program(["run", "counting", "-i", "value=-4", "-i", "source=here"], project)
    assert (bad.code, bad.out) == (1, "")
    assert bad.err.splitlines()[-1] == "error: counting: node count: ValueError: a reading below zero"
    assert not (project / ".fp-events").exists()


def test_run_computes_the_nodes_asked_for(project: Path, program: Program) -> None:
    """`-o` names them."""
    ended = program(["run", "counting", "-i", "value=4", "-o", "doubled", "-i", "source=here", "--json"], project)
    assert (ended.code, ended.json["doubled"]) == (0, 8.0)


def test_run_retries(project: Path, program: Program) -> None:
    """As often as the command line says."""
    options = ["--max-retries", "2", "--retry-delay", "10ms", "--executor", "local"]
    ended = program(["run", "counting", "-i", "value=-4", "-i", "source=here", *options], project)
    assert (ended.code, "3 attempts" in ended.err) == (1, True)


def test_check_tells_warnings_from_errors(project: Path, program: Program) -> None:
    """And with --strict makes no difference between them."""
    assert program(["check"], project).code == 0
    (project / "conf/pipelines/counting.yml").write_text(
        (project / "conf/pipelines/counting.yml").read_text().replace("out/{value.source}", "in/{value.source}")
    )
    found = program(["check", "--json"], project)
    assert [problem["warning"] for problem in found.json] == [True]
    assert (found.code, program(["check", "--strict"], project).code) == (0, 78)


@pytest.mark.parametrize(("form", "word"), [("text", "total *"), ("mermaid", "flowchart LR"), ("dot", "digraph")])
def test_graph_draws(project: Path, program: Program, form: str, word: str) -> None:
    """To stdout, or to a file."""
    drawn = program(["graph", "counting", "--format", form], project)
    assert (drawn.code, word in drawn.out) == (0, True)
    program(["graph", "counting", "--format", form, "-o", "drawing"], project)
    assert (project / "drawing").read_text().strip() == drawn.out.strip()


def test_pipelines_show_has_nodes_settings_and_code(project: Path, program: Program) -> None:
    """What the project has, on one page."""
    shown = program(["pipelines", "show", "counting", "--code"], project).out
    assert all(word in shown for word in ("5 nodes", "previous_count", "in/{source}", "def total(", "qos: 1")), shown
    found = program(["pipelines", "show", "counting", "--json"], project).json
    assert [node["name"] for node in found["nodes"] if not node["is_input"]] == ["count", "total"]


def test_settings_name_their_origin_and_hide_secrets(project: Path, program: Program) -> None:
    """Every level, the command's included; passwords are not shown."""
    (project / "conf/project.yml").write_text("name: counting\nmqtt: {password: hunter2, keepalive: 10s}\n")
    ended = program(["config", "show", "--origins", "--json"], project)
    assert ended.json["mqtt"]["keepalive"] == {"value": 10.0, "origin": "conf/project.yml:2"}
    assert "hunter2" not in ended.out


def test_doctor_without_a_project_says_so(tmp_path: Path, program: Program) -> None:
    """The machine is checked all the same."""
    ended = program(["doctor", "--json"], tmp_path)
    verdicts = {finding["check"]: finding["verdict"] for finding in ended.json}
    assert (ended.code, verdicts["python"], verdicts["project"]) == (64, "ok", "fail")


def test_doctor_finds_what_is_wrong(project: Path, program: Program) -> None:
    """A broker that does not answer: the finding, the mend, the exit code."""
    (project / "conf/project.yml").write_text(f"name: counting\nmqtt: {{url: 'mqtt://127.0.0.1:{free_port()}'}}\n")
    ended = program(["doctor", "--json"], project)
    broker = next(finding for finding in ended.json if finding["check"] == "broker")
    assert (ended.code, broker["verdict"], bool(broker["mend"])) == (69, "fail", True)


def test_there_is_no_ledger_to_look_after(project: Path, program: Program) -> None:
    """Before the first `serve`: exit code 74."""
    assert [program(["ledger", verb], project).code for verb in ("check", "vacuum", "recover")] == [74, 74, 74]
