"""Commands against a daemon on a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fp_events.cli import control_topic

from .conftest import Ended, call

Fp = Callable[..., Ended]


def until(fp: Fp, arguments: list[str], true: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as wanted: what a message causes comes a moment after `publish` has returned."""
    limit = time.monotonic() + 20
    while True:
        found = fp(*arguments, "--json").json
        if true(found):
            return found
        assert time.monotonic() < limit, found
        time.sleep(0.05)


def runs_of(fp: Fp, key: str, count: int) -> list[dict[str, Any]]:
    """The runs of a key, once there are as many and all have ended."""
    found = until(
        fp,
        ["runs", "list", "--key", key],
        lambda runs: len(runs) == count and all(run["state"] == "finished" for run in runs),
    )
    return list(found)


def test_a_message_becomes_a_run_that_is_explained(fp: Fp) -> None:
    """publish, runs list, runs show."""
    assert fp("publish", "in/explained", '{"value": 2}', "--property", "message_id=e1") == Ended(0, "", "")
    (row,) = runs_of(fp, "explained", 1)
    assert (row["pipeline"], row["outcome"], row["attempt"]) == ("counting", "succeeded", 1)
    shown = fp("runs", "show", row["run_id"], "--json").json
    assert shown["values"] == {"total": {"source": "explained", "count": 1, "value": 2}}
    assert (shown["message"]["topic"], shown["message"]["payload"]) == ("in/explained", '{"value": 2}')
    table = fp("runs", "show", row["run_id"], "--payload").out
    told = (
        "in/explained",
        '{"value": 2}',
        "succeeded",
        '"count": 1',
        "message_id",
        f"out/explained  {row['run_id']}:0  ",
    )
    assert all(word in table for word in told)
    assert '{"value": 2}' not in fp("runs", "show", row["run_id"]).out


def test_listings_come_as_table_json_yaml_and_ids(fp: Fp) -> None:
    """The same runs, for people and for programs."""
    fp("publish", "in/formats", '{"value": 1}')
    (row,) = runs_of(fp, "formats", 1)
    ids = fp("runs", "list", "--key", "formats", "--format", "ids").out
    assert ids == f"{row['run_id']}\n"
    table = fp("runs", "list", "--key", "formats").out.splitlines()
    assert (table[0].split()[0], row["run_id"] in table[1], len(table)) == ("RUN", True, 2)
    assert f"run_id: {row['run_id']}" in fp("runs", "list", "--key", "formats", "--format", "yaml").out


def test_a_listing_goes_on_page_by_page(fp: Fp) -> None:
    """A page names the next one."""
    for _ in range(3):
        fp("publish", "in/pages", '{"value": 1}')
    runs_of(fp, "pages", 3)
    first = fp("runs", "list", "--key", "pages", "-n", "2")
    page = first.err.strip().removeprefix("more with --before ")
    second = fp("runs", "list", "--key", "pages", "-n", "2", "--before", page)
    assert (len(first.out.splitlines()), len(second.out.splitlines())) == (3, 2)


def test_a_failed_run_is_a_dead_letter_until_it_is_dealt_with(fp: Fp) -> None:
    """dlq list, show, retry, purge."""
    fp("publish", "in/failing", '{"value": -1}')
    (row,) = runs_of(fp, "failing", 1)
    letters = fp("dlq", "list", "--json").json["dead_letters"]
    assert row["run_id"] in [letter["run_id"] for letter in letters]
    shown = fp("dlq", "show", row["run_id"]).out
    assert all(word in shown for word in ("ValueError: a reading below zero", "node count", "Traceback"))
    retried = fp("dlq", "retry", row["run_id"])
    assert (retried.code, retried.err) == (0, "1 dead letter will run again\n")
    until(fp, ["runs", "show", row["run_id"]], lambda run: len(run["attempts"]) == 2 and run["dead_letter"])
    assert fp("dlq", "purge", row["run_id"], "--yes").err == "1 dead letter deleted\n"
    assert row["run_id"] not in fp("dlq", "list", "--format", "ids").out.split()


def test_what_is_no_dead_letter_is_not_retried(fp: Fp) -> None:
    """The reason is told, and the exit code tells as well."""
    fp("publish", "in/fine", '{"value": 1}')
    (row,) = runs_of(fp, "fine", 1)
    ended = fp("dlq", "retry", row["run_id"])
    assert (ended.code, ended.err.splitlines()[0]) == (1, f"warning: {row['run_id']}: it is not a dead letter")


def test_a_dead_letter_that_is_not_there_is_a_wrong_command(fp: Fp) -> None:
    """As for `runs show`, where none of the ids is a run's."""
    ended = fp("dlq", "retry", "nope", "neither")
    assert (ended.code, ended.err.partition(";")[0]) == (64, "error: there is no run 'nope'")
    fp("publish", "in/known", '{"value": 1}')
    (row,) = runs_of(fp, "known", 1)
    mixed = fp("dlq", "retry", "nope", row["run_id"])
    assert (mixed.code, mixed.err.count("warning: ")) == (1, 2)


@pytest.mark.parametrize("verb", ["retry", "purge"])
def test_dead_letters_are_named_or_all(fp: Fp, verb: str) -> None:
    """Neither nothing nor both."""
    assert [fp("dlq", verb).code, fp("dlq", verb, "--all", "x").code] == [64, 64]


def test_state_is_listed_shown_and_reset(fp: Fp) -> None:
    """And the next run starts from nothing."""
    for _ in range(2):
        fp("publish", "in/kept", '{"value": 1}')
    runs_of(fp, "kept", 2)
    assert fp("state", "show", "counting", "kept").json["value"] == {"count": 2}
    assert "kept" in fp("state", "list", "-p", "counting", "--format", "ids").out.split()
    assert fp("state", "reset", "counting", "kept").code == 64
    assert fp("state", "reset", "counting", "kept", "--yes").err == "1 key reset\n"
    fp("publish", "in/kept", '{"value": 1}')
    runs_of(fp, "kept", 3)
    assert fp("state", "show", "counting", "kept").json["value"] == {"count": 1}


def test_a_paused_pipeline_keeps_its_messages(fp: Fp) -> None:
    """They run after `resume`."""
    assert fp("pause", "counting").code == 0
    try:
        fp("publish", "in/paused", '{"value": 1}')
        until(fp, ["runs", "list", "--key", "paused"], lambda runs: [run["state"] for run in runs] == ["queued"])
        assert "paused" in fp("status").out
    finally:
        assert fp("resume", "counting").code == 0
    assert [run["outcome"] for run in runs_of(fp, "paused", 1)] == ["succeeded"]


def test_trigger_waits_and_tells_by_its_exit_code(fp: Fp) -> None:
    """A run that a command caused."""
    good = fp("trigger", "counting", "-i", "value=3", "-i", "source=cli", "--wait", "--json")
    assert (good.code, good.json["outcome"]) == (0, "succeeded")
    bad = fp("trigger", "counting", "-i", "value=-3", "-i", "source=cli", "--wait")
    run_id = bad.out.strip()
    why = "node count: ValueError: a reading below zero"
    assert (bad.code, bad.err) == (1, f"error: counting: the run failed: {why}; see `fp-events runs show {run_id}`\n")
    assert fp("runs", "show", run_id, "--json").json["cause"] == "command"


def test_trigger_through_the_control_topic(fp: Fp) -> None:
    """Request and response by MQTT, for what the configuration allows."""
    good = fp("trigger", "counting", "-i", "value=3", "-i", "source=mqtt", "--wait", "--by", "mqtt", "--json")
    assert (good.code, good.json["values"]["total"]["source"]) == (0, "mqtt")
    refused = fp("trigger", "counting", "-o", "count", "-i", "value=3", "--by", "mqtt")
    assert (refused.code, "may not be given by MQTT" in refused.err) == (64, True)


def test_a_run_that_is_not_waited_out_has_not_ended(fp: Fp) -> None:
    """`--timeout` ends the waiting, not the run."""
    assert fp("pause", "counting").code == 0
    try:
        ended = fp("trigger", "counting", "-i", "value=3", "-i", "source=later", "--wait", "--timeout", "0.05")
    finally:
        assert fp("resume", "counting").code == 0
    run_id = ended.out.strip()
    sentence = f"error: counting: the run has not ended yet; see `fp-events runs show {run_id}`\n"
    assert (ended.code, ended.err) == (1, sentence)
    until(fp, ["runs", "show", run_id], lambda run: run["outcome"] == "succeeded")


def test_trigger_by_mqtt_does_not_wait_for_nobody(fp: Fp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is up and a daemon that is not: one sentence, with or without --wait."""
    monkeypatch.setenv("FP_EVENTS_MQTT__BASE_TOPIC", "nobody")
    monkeypatch.setattr(control_topic, "PATIENCE", 0.2)
    for command, options in (("run", []), ("status", ["--wait"])):
        ended = fp("trigger", "counting", "-i", "value=3", "--by", "mqtt", *options)
        sentence = f"error: nobody/control/{command}: no daemon answered; is one running, with `control.mqtt: true`?\n"
        assert (ended.code, ended.err) == (69, sentence)


def test_a_pipeline_that_is_not_there(fp: Fp) -> None:
    """The nearest one is named."""
    ended = fp("trigger", "countin")
    assert (ended.code, ended.err) == (64, "error: there is no pipeline 'countin'; did you mean 'counting'?\n")


def test_a_pipeline_that_is_newer_than_the_daemon(fp: Fp, live: Path) -> None:
    """The project has it, the daemon has not read it: that is told, and how to have it served."""
    assert fp("new", "flow").code == 0
    try:
        ended = [fp("trigger", "flow"), fp("pause", "flow")]
    finally:
        assert fp("delete", "flow", "--yes").code == 0
    sentence = (
        "error: the daemon does not know pipeline 'flow' yet; "
        "it reads the project when it starts: end it and start `fp-events serve` again\n"
    )
    assert [(each.code, each.err) for each in ended] == [(64, sentence), (64, sentence)]


def test_status_counts(fp: Fp) -> None:
    """For people and for programs."""
    before = fp("status", "--json").json["totals"]["received"]
    fp("publish", "in/counted", '{"value": 1}')
    found = until(fp, ["status"], lambda status: status["totals"]["received"] > before)
    assert (found["broker"]["connected"], found["pipelines"][0]["name"]) == (True, "counting")
    assert "connected" in fp("status").out


def test_lines_are_messages_of_their_own(fp: Fp, live: Path) -> None:
    """From a file, in order."""
    (live / "lines").write_text("".join(f'{{"value": {number}}}\n' for number in range(600)))
    assert fp("publish", "in/lines", "@lines", "--lines").err == "600 messages published\n"
    until(fp, ["state", "list"], lambda states: [600] == [s["value"]["count"] for s in states if s["key"] == "lines"])


def test_a_payload_from_stdin(live: Path, fp: Fp) -> None:
    """Its last line break is not part of it."""
    assert call(["publish", "in/piped"], live, stdin='{"value": 7}\n').code == 0
    (row,) = runs_of(fp, "piped", 1)
    assert fp("runs", "show", row["run_id"], "--json").json["message"]["payload"] == '{"value": 7}'


@pytest.mark.parametrize("topic", ["in/+", "in/#", ""])
def test_wildcards_are_not_published_to(fp: Fp, topic: str) -> None:
    """A usage error, before anything is sent."""
    assert fp("publish", topic, "x").code == 64


@pytest.mark.parametrize(
    ("options", "read"),
    [
        (["--json"], lambda line: json.loads(line)["payload"]),
        (["--raw"], str),
        ([], lambda line: line.partition("  ")[2].partition("  ")[2]),
    ],
)
def test_tap_prints_what_passes(fp: Fp, live: Path, options: list[str], read: Callable[[str], str]) -> None:
    """Results as they are published; it ends after --count messages."""
    command = [sys.executable, "-m", "fp_events.cli", "tap", "out/tapped", "-n", "1", *options]
    with subprocess.Popen(command, cwd=live, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.readline().startswith("listening to out/tapped on mqtt://127.0.0.1:")
        fp("publish", "in/tapped", '{"value": 5}')
        lines = process.stdout.read().splitlines()
        assert process.wait(20) == 0
    assert [json.loads(read(line))["value"] for line in lines] == [5]


def test_tap_escapes_what_could_steer_a_terminal(fp: Fp, live: Path) -> None:
    """A device's bytes stay text."""
    command = [sys.executable, "-m", "fp_events.cli", "tap", "wild/#", "-n", "1"]
    with subprocess.Popen(command, cwd=live, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        process.stderr.readline()
        fp("publish", "wild/\u202etopic", "\x1b[2Jred\x07")
        line = process.stdout.readline()
        assert process.wait(20) == 0
    assert line.partition("  ")[2] == "wild/\\u202etopic  \\x1b[2Jred\\x07\n"


def test_doctor_finds_the_daemon_and_its_broker(fp: Fp) -> None:
    """All is well: exit code 0."""
    ended = fp("doctor", "--json")
    verdicts = {finding["check"]: finding["verdict"] for finding in ended.json}
    assert ended.code == 0
    assert (verdicts["daemon"], verdicts["broker"], verdicts["plans"]) == ("ok", "ok", "ok")


def test_a_second_daemon_is_refused(live: Path) -> None:
    """The ledger is held: exit code 75, and whose it is."""
    ended = call(["serve"], live)
    assert (ended.code, "is held by process" in ended.err) == (75, True)


def test_the_ledger_is_checked_and_copied_beside_the_daemon(fp: Fp, live: Path, tmp_path: Path) -> None:
    """But not rewritten."""
    assert fp("ledger", "check").code == 0
    assert fp("ledger", "backup", str(tmp_path / "copy.db")).code == 0
    assert (tmp_path / "copy.db").stat().st_size > 0
    assert fp("ledger", "vacuum").code == 75
