"""The log of a DAG's life."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest

from fp_events import DAG, FlowkitLogger, LogLevel, TaskExecutionError, configure_logging, get_logger, task
from fp_events.dags import log


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test configures for itself."""
    monkeypatch.setattr(log, "_global", None)


def rows(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def run_all_kinds(**settings: Any) -> None:
    calls: list[int] = []

    @task(retries=1, delay=0)
    def flaky() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("busy")
        return 1

    @task(when=lambda x: x > 1)
    def never(x: int) -> int:
        return x

    @task
    def broken(x: int) -> None:
        raise ValueError("no")

    flaky >> [never, broken]
    with pytest.raises(TaskExecutionError):
        DAG("kinds", **settings).run()


def test_each_step_is_a_line_of_json() -> None:
    """Start, retry, success, skip, failure and progress, with their facts."""
    stream = io.StringIO()
    run_all_kinds(logger=FlowkitLogger("mine", level=LogLevel.DEBUG, json_output=True, stream=stream))

    found = {(row["event"], row.get("task_name", "")): row for row in rows(stream)}
    assert {
        ("dag_start", ""), ("task_start", "flaky"), ("task_retry", "flaky"), ("task_success", "flaky"),
        ("task_skip", "never"), ("task_start", "broken"), ("task_failure", "broken"), ("dag_progress", ""),
        ("dag_failure", ""),
    } == set(found)  # fmt: skip
    retry, failure = found["task_retry", "flaky"], found["task_failure", "broken"]
    assert ("WARNING", 1, 1, "busy") == (retry["level"], retry["attempt"], retry["max_retries"], retry["error_message"])
    assert ("ERROR", "ValueError", "no") == (failure["level"], failure["error_type"], failure["error_message"])
    assert {"kinds"} == {row["dag_name"] for row in rows(stream)}
    assert {"mine"} == {row["logger"] for row in rows(stream)}
    assert (2, 3) == (found["task_success", "flaky"]["attempt"], found["dag_progress", ""]["total"])


def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard output, as flowkit words them."""
    logger = FlowkitLogger()
    logger.log_dag_start("my_dag", total_tasks=5)
    logger.log_task_start("my_task", user="somebody")
    logger.log_task_success("my_task", duration=1.5)
    logger.log_task_failure("my_task", ValueError("Test error"))
    logger.log_task_retry("my_task", attempt=2, max_retries=3, delay=2.0)
    logger.log_task_skip("my_task", reason="condition not met")
    logger.log_dag_progress("my_dag", completed=3, total=5)
    logger.log_dag_complete("my_dag", total_tasks=5, duration=10.5)

    assert [
        "[INFO] DAG started: my_dag, 5 tasks",
        "[INFO] Task started: my_task",
        "[INFO] Task succeeded: my_task in 1.5 s",
        "[ERROR] Task failed: my_task: ValueError: Test error",
        "[WARNING] Task retry: my_task, 2/3 in 2.0 s",
        "[INFO] Task skipped: my_task: condition not met",
        "[INFO] DAG progress: my_dag, 3/5 (60.0%)",
        "[INFO] DAG completed: my_dag, 5 tasks in 10.5 s",
    ] == [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]


def test_a_level_leaves_out_what_is_below() -> None:
    """A number or its name."""
    stream = io.StringIO()
    for level in (LogLevel.ERROR, "error"):
        logger = FlowkitLogger(level=level, json_output=True, stream=stream)
        logger.log_task_start("quiet")
        logger.log_task_failure("loud", ValueError())

    assert ["loud", "loud"] == [row["task_name"] for row in rows(stream)]


def test_nothing_is_logged_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """`get_logger` alone asks for nothing; `configure_logging` does, for all DAGs."""
    assert LogLevel.INFO == get_logger().level
    run_all_kinds()
    assert ("", "") == capsys.readouterr()

    stream = io.StringIO()
    configured = configure_logging(level=LogLevel.WARNING, json_output=True, stream=stream)
    run_all_kinds()

    assert configured is get_logger()
    assert ["task_retry", "task_failure", "dag_failure"] == [row["event"] for row in rows(stream)]


def test_threads_write_whole_lines() -> None:
    """Each line is one object."""
    stream = io.StringIO()
    logger = FlowkitLogger(json_output=True, stream=stream)

    def write() -> None:
        for number in range(100):
            logger.log_task_success(f"t{number}", duration=0.1, text="ä" * 50)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 400 == len(rows(stream))


def test_a_closed_stream_stops_no_task() -> None:
    """The log is for whoever listens."""
    stream = io.StringIO()
    stream.close()

    @task
    def one() -> int:
        return 1

    assert {"one": 1} == DAG("deaf", logger=FlowkitLogger(stream=stream)).run()
