"""Lines of the log, as a person and as a program read them."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from fp_events.domain.errors import ConfigError
from fp_events.observe.logging import admit, configure, register_secret
from fp_events.observe.safety import VALUE_LIMIT

Events = Callable[[], list[dict[str, Any]]]

PROGRAM = """
import logging, warnings
import structlog
from fp_events.observe.logging import configure

configure("INFO")
structlog.get_logger("a").info("run_finished", pipeline="heat", payload_bytes=3)
logging.getLogger("paho.client").warning("odd packet %d", 7)
warnings.warn("old way", DeprecationWarning)
structlog.get_logger("a").debug("unseen")
"""


def test_without_a_terminal_standard_error_gets_json_lines() -> None:
    """A real process: every line is an object, from structlog, from `logging` and from `warnings` alike."""
    before = datetime.now(UTC) - timedelta(seconds=1)
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30
    )
    run, paho, warning = [json.loads(line) for line in done.stderr.splitlines()]
    assert "" == done.stdout
    assert {"level": "info", "event": "run_finished", "pipeline": "heat", "payload_bytes": 3} == {
        name: run[name] for name in run if name != "timestamp"
    }
    assert ("warning", "odd packet 7", "paho.client") == (paho["level"], paho["event"], paho["logger"])
    assert "old way" in warning["event"]
    at = datetime.fromisoformat(run["timestamp"])
    assert timedelta(0) == at.utcoffset()
    assert before <= at <= datetime.now(UTC)


def test_on_a_terminal_lines_are_to_be_read() -> None:
    """`auto` looks at the stream."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure("INFO", "auto", stream=stream)
    structlog.get_logger().info("run_finished", pipeline="heat")
    assert "run_finished" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_console_line_cannot_be_forged(stream: io.StringIO) -> None:
    """A device that sends line breaks and escape sequences gets one line without either."""
    configure("INFO", "console", stream=stream)
    forged = "a\n2026-01-01T00:00:00Z [error] forged\r\x1b[2J\x9b31m\u2028\u202e"
    structlog.get_logger().info(forged, topic=forged, **{forged: {"deep": [forged]}})
    written = stream.getvalue()
    assert 1 == written.count("\n")
    assert not {"\r", "\x1b", "\x9b", "\u2028", "\u202e"} & set(written)
    assert r"a\n2026-01-01" in written


def test_json_line_keeps_what_json_can_say(stream: io.StringIO, events: Events) -> None:
    """JSON escapes line breaks by itself; only what it lets through is replaced."""
    configure("INFO", "json", stream=stream)
    structlog.get_logger().info("seen", topic="a\nb\x1b\u2028\x9b", big=2**70, odd="\ud800", nan=float("nan"))
    assert 1 == stream.getvalue().count("\n")
    assert {"\\u2028", "\\x9b"} <= {events()[0]["topic"][4:10], events()[0]["topic"][10:]}
    assert [str(2**70), r"\ud800", None] == [events()[0][name] for name in ("big", "odd", "nan")]


def test_console_traceback_is_indented(stream: io.StringIO) -> None:
    """No line of a traceback begins where lines of the log begin."""
    configure("INFO", "console", stream=stream)
    try:
        raise ValueError("one\n2026-01-01T00:00:00Z [error] forged")
    except ValueError:
        structlog.get_logger().exception("node_failed")
    first, *rest = stream.getvalue().splitlines()
    assert "node_failed" in first
    assert len(rest) > 3
    assert all(line.startswith("    ") for line in rest)


def test_json_traceback_is_a_value(stream: io.StringIO, events: Events) -> None:
    """`exc_info` of structlog and of `logging` becomes `exception`."""
    configure("INFO", "json", stream=stream)
    try:
        raise ValueError("bad")
    except ValueError:
        structlog.get_logger().exception("node_failed")
        logging.getLogger("user").exception("too")
    assert [True, True] == [event["exception"].endswith("ValueError: bad") for event in events()]


def test_long_values_are_cut(stream: io.StringIO, events: Events) -> None:
    """A megabyte in a value leaves a line of the usual size, which tells how long it was."""
    configure("INFO", "json", stream=stream)
    structlog.get_logger().info("seen", value="x" * 1_000_000, many=list(range(1000)))
    assert f"{'x' * VALUE_LIMIT}… (1000000 characters)" == events()[0]["value"]
    assert len(stream.getvalue()) < VALUE_LIMIT + 1000


@pytest.mark.parametrize("name", ["password", "mqtt_password", "token", "API_KEY", "hmac_key", "Authorization"])
def test_values_named_as_secrets_are_hidden(stream: io.StringIO, events: Events, name: str) -> None:
    """Also inside of mappings; the name of the file that holds one is no secret."""
    configure("INFO", "json", stream=stream)
    structlog.get_logger().info("seen", **{name: "s3cret", "inside": {name: "s3cret"}, f"{name}_file": "/run/key"})
    event = events()[0]
    assert ["***", {name: "***"}, "/run/key"] == [event[name], event["inside"], event[f"{name}_file"]]


def test_registered_secrets_show_nowhere(stream: io.StringIO) -> None:
    """Not in events, values, tracebacks or URLs, whoever logs them and even where a value is cut."""
    configure("DEBUG", "json", stream=stream)
    register_secret("p@ss word")
    register_secret("")
    log = structlog.get_logger()
    try:
        raise ValueError("refused: p@ss word")
    except ValueError:
        log.exception("p@ss word", value="x" * (VALUE_LIMIT - 4) + "p@ss word", nested=[{"a": "p@ss word"}])
    logging.getLogger("paho").info("connecting to mqtt://me:p%%40ss%%20word@host as %s", "p@ss word")
    log.info("seen", url="mqtt://me:unregistered@host:1883/")
    written = stream.getvalue()
    assert [] == [secret for secret in ("p@ss", "p%40ss", "unregistered") if secret in written]
    assert "mqtt://me:***@host:1883/" in written


def test_short_secret_leaves_words_alone(stream: io.StringIO, events: Events) -> None:
    """A secret of three letters is hidden where it stands alone."""
    configure("INFO", "json", stream=stream)
    register_secret("run")
    structlog.get_logger().info("run_finished", said="run", words="a running run")
    assert ["run_finished", "***", "a running ***"] == [events()[0][name] for name in ("event", "said", "words")]


def test_pipeline_level_rules_its_events(stream: io.StringIO, events: Events) -> None:
    """A quiet pipeline, a talkative one, and the project's level for all else."""
    configure("INFO", "json", stream=stream, pipelines={"quiet": "ERROR", "loud": "DEBUG"})
    log = structlog.get_logger()
    for pipeline in ("quiet", "loud", "other"):
        for method in ("debug", "info", "error"):
            getattr(log, method)(f"{pipeline} {method}", pipeline=pipeline)
    expected = ["quiet error", "loud debug", "loud info", "loud error", "other info", "other error"]
    assert expected == [event["event"] for event in events()]


def test_pipeline_level_rules_user_code(stream: io.StringIO, events: Events) -> None:
    """A function that uses `logging` obeys the pipeline that runs it."""
    configure("INFO", "json", stream=stream, pipelines={"quiet": "ERROR", "loud": "DEBUG"})
    for pipeline in ("quiet", "loud", "other"):
        with bound_contextvars(pipeline=pipeline, run_id="r1"):
            logging.getLogger("user").debug("detail")
            logging.getLogger("user").info("step")
    expected = [("loud", "r1", "detail"), ("loud", "r1", "step"), ("other", "r1", "step")]
    assert expected == [(event["pipeline"], event["run_id"], event["event"]) for event in events()]


def test_run_level_goes_before_its_pipelines(stream: io.StringIO, events: Events) -> None:
    """One run may be watched closely while its pipeline is quiet."""
    configure("WARNING", "json", stream=stream, pipelines={"quiet": "ERROR"})
    admit("DEBUG")
    with bound_contextvars(pipeline="quiet", log_level="DEBUG"):
        structlog.get_logger().debug("ours")
        logging.getLogger("user").debug("theirs")
    structlog.get_logger().info("unseen")
    logging.getLogger("user").info("unseen")
    assert ["ours", "theirs"] == [event["event"] for event in events()]
    assert "log_level" not in events()[0]


def test_unknown_level_is_an_error() -> None:
    """The error names it."""
    with pytest.raises(ConfigError, match="no log level 'LOUD'"):
        configure("LOUD")


def test_extra_fields_and_levels_of_libraries_arrive(stream: io.StringIO, events: Events) -> None:
    """`extra` becomes values; a level between ours is shown as the one below it."""
    configure("INFO", "json", stream=stream)
    logging.getLogger("user").log(35, "seen", extra={"device": "d7"})
    assert [("warning", "d7")] == [(event["level"], event["device"]) for event in events()]


def test_a_second_configuration_replaces_the_first(stream: io.StringIO, events: Events) -> None:
    """Loggers made and used before follow; no line is written twice."""
    log = structlog.get_logger()
    earlier = io.StringIO()
    configure("INFO", "json", stream=earlier)
    log.info("one")
    configure("INFO", "json", stream=stream)
    log.info("two")
    logging.getLogger("user").info("three")
    assert ["two", "three"] == [event["event"] for event in events()]
    assert 1 == earlier.getvalue().count("\n")


def test_what_cannot_be_printed_stops_nobody(stream: io.StringIO, events: Events) -> None:
    """A value with a broken `__str__`, and a stream that is closed."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    configure("INFO", "json", stream=stream)
    structlog.get_logger().info("seen", value=Broken())
    assert "<Broken that cannot be printed: RuntimeError>" == events()[0]["value"]
    stream.close()
    structlog.get_logger().info("lost")
