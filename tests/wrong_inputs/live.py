"""Wrong commands to a daemon that runs."""

from __future__ import annotations

from .case import Case


def _command(wrong: str, says: str, code: int, *arguments: str) -> Case:
    return Case(wrong=wrong, arguments=arguments, environ={"PORT": "<port>"}, says=says, code=code)


#: Called in the folder of the daemon that `messages` are sent to.
CASES = (
    _command(
        "`trigger` of a pipeline that is not there",
        "error: there is no pipeline 'alrets'; did you mean 'alerts'?",
        64,
        "trigger",
        "alrets",
    ),
    _command(
        "`--by mqtt trigger` of a pipeline that is not there",
        "error: run: pipeline 'alrets' may not be started by MQTT; name it under control.allow",
        64,
        "trigger",
        "alrets",
        "--by",
        "mqtt",
    ),
    _command(
        "`trigger` with an input that nobody takes",
        "error: run: pipeline 'alerts' has no input 'limits'; did you mean 'limit'?",
        64,
        "trigger",
        "alerts",
        "-i",
        "limits=3",
    ),
    Case(
        wrong="`trigger --wait` of a run that fails",
        says="error: alerts: the run failed: node alert: TypeError: '<=' not supported between instances of 'str' and 'float'; see `fp-events runs show <run>`",
        code=1,
        arguments=("trigger", "alerts", "--wait", "--inputs", '{"reading": "hot", "line": "a", "site": "b"}'),
        environ={"PORT": "<port>"},
        volatile={"run": r"(?<=runs show )[0-9a-f-]{36}"},
    ),
    _command(
        "`trigger --run-in` a duration that is none",
        "error: --run-in 'soon' is no duration; write 90s, 15m or 2h30m",
        64,
        "trigger",
        "alerts",
        "--run-in",
        "soon",
    ),
    _command(
        "`trigger` now and later",
        "error: run: 'run_at' and 'run_in' exclude each other; give one of them",
        64,
        "trigger",
        "alerts",
        "--run-in",
        "1h",
        "--run-at",
        "2999-01-01",
    ),
    _command(
        "`runs watch` of a run that there is not",
        "error: there is no run '0198'; see `fp-events runs list`; finished runs are kept as long as `ledger.retention` says",
        64,
        "runs",
        "watch",
        "0198",
    ),
    _command(
        "`tap` of an event that there is not",
        "error: there is no event 'fialed'; known are succeeded, failed, timed_out, expired, rejected, skipped, cancelled, started, retrying",
        64,
        "tap",
        "--event",
        "fialed",
    ),
    _command(
        "`pause` of a pipeline that is not there",
        "error: there is no pipeline 'alrets'; did you mean 'alerts'?",
        64,
        "pause",
        "alrets",
    ),
    _command(
        "`serve` beside a daemon that runs",
        "error: the ledger <folder>/.fp-events/ledger.db is held by process <pid>; stop that daemon, or give this one a ledger of its own (ledger.url)",
        75,
        "serve",
    ),
    _command(
        "`ledger vacuum` beside a daemon that runs",
        "error: the ledger <folder>/.fp-events/ledger.db is held by process <pid>; stop that daemon, or give this one a ledger of its own (ledger.url)",
        75,
        "ledger",
        "vacuum",
    ),
    _command(
        "`runs show` of a run that is not there, with a daemon",
        "error: there is no run '0198'; see `fp-events runs list`; finished runs are kept as long as `ledger.retention` says",
        64,
        "runs",
        "show",
        "0198",
    ),
)
