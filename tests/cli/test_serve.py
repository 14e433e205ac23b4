"""`serve` and what works without it; exit codes."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import free_port, require_program

from .conftest import Daemon, Program, call, counting_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose daemon does not run."""
    return counting_project(tmp_path)


def test_sigterm_drains_and_ends_well(project: Path) -> None:
    """Exit code 0; what ran is listed without a daemon; what needs one says so."""
    require_program("mosquitto")
    daemon = Daemon(project)
    try:
        told = daemon.serving()
        call(["publish", "in/a", '{"value": 1}'], project)
        code, said = daemon.end()
    finally:
        daemon.kill()
    assert [each["filter"] for each in told["subscriptions"] if each["pipelines"]] == ["in/+"]
    assert (code, '"event":"stopped","drained":true' in said) == (0, True)
    (run,) = call(["runs", "list", "--json"], project).json
    assert (run["pipeline"], run["outcome"]) == ("counting", "succeeded")
    assert [call([verb], project).code for verb in ("status", "tap")] == [69, 69]
    assert call(["ledger", "check"], project).code == 0
    assert call(["ledger", "vacuum"], project).code == 0


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


def test_wrong_configuration_ends_before_anything_starts(project: Path) -> None:
    """All problems, one a line, with file and line; no broker is started."""
    (project / "conf/pipelines/counting.yml").write_text(
        "triggers:\n  - topic: in/{source}\n    map: {vlaue: payload.value}\n"
    )
    ended = call(["serve"], project)
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


def test_run_prints_values_and_tells_by_its_exit_code(project: Path) -> None:
    """In the foreground, without broker and ledger."""
    good = call(["run", "counting", "--inputs", '{"value": 4}', "-i", "source=here", "--json"], project)
    assert (good.code, good.json["total"]) == (0, {"source": "here", "count": 1, "value": 4})
    assert "succeeded in " in good.err
    bad = call(["run", "counting", "-i", "value=-4", "-i", "source=here"], project)
    assert (bad.code, bad.out) == (1, "")
    assert bad.err.splitlines()[-1] == "error: counting: node count: ValueError: a reading below zero"
    assert not (project / ".fp-events").exists()


def test_run_computes_the_nodes_asked_for(project: Path) -> None:
    """`-o` names them."""
    ended = call(["run", "counting", "-i", "value=4", "-o", "doubled", "-i", "source=here", "--json"], project)
    assert (ended.code, ended.json["doubled"]) == (0, 8.0)


def test_run_retries(project: Path) -> None:
    """As often as the command line says."""
    options = ["--max-retries", "2", "--retry-delay", "0.01", "--executor", "local"]
    ended = call(["run", "counting", "-i", "value=-4", "-i", "source=here", *options], project)
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
