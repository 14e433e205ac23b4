"""Ledgers that cannot be used, and what is not in them."""

from __future__ import annotations

from . import places
from .case import Around, Case

P = "conf/project.yml"


def _ledger(wrong: str, around: Around, says: str, code: int, *arguments: str) -> Case:
    return Case(wrong=wrong, around=around, arguments=arguments or ("serve",), says=says, code=code)


CASES = (
    _ledger(
        "a file where the folder `.fp-events` should be",
        places.file_for_folder,
        "error: <folder>/.fp-events: a file is where a folder is needed; move it away",
        74,
    ),
    Case(
        wrong="a ledger in a folder that cannot be made",
        files={P: "name: plant\nledger:\n  url: sqlite:///conf/project.yml/ledger.db\n"},
        says="error: <folder>/conf/project.yml: a file is where a folder is needed; set another ledger.url",
        code=74,
    ),
    Case(
        wrong="a ledger URL that is a folder",
        files={P: "name: plant\nledger:\n  url: sqlite:///conf\n"},
        says="error: <folder>/conf: a folder is where the ledger's file is needed; set another ledger.url",
        code=74,
    ),
    _ledger(
        "a second daemon on the same ledger",
        places.held_ledger,
        "error: the ledger <folder>/.fp-events/ledger.db is held by process <pid>; stop that daemon, or give this one a ledger of its own (ledger.url)",
        75,
    ),
    _ledger(
        "`ledger vacuum` while a daemon runs",
        places.held_ledger,
        "error: the ledger <folder>/.fp-events/ledger.db is held by process <pid>; stop that daemon, or give this one a ledger of its own (ledger.url)",
        75,
        "ledger",
        "vacuum",
    ),
    _ledger(
        "`runs list` while the daemon starts",
        places.held_ledger,
        "error: the ledger <folder>/.fp-events/ledger.db is held by process <pid>; stop that daemon, or give this one a ledger of its own (ledger.url)",
        75,
        "runs",
        "list",
    ),
    _ledger(
        "a ledger whose end is missing",
        places.torn_ledger,
        "error: <folder>/.fp-events/ledger.db: the ledger is damaged (its end is missing); save what can be read with `fp-events ledger recover`; the file itself is left as it is",
        74,
    ),
    _ledger(
        "a ledger that was written over",
        places.scribbled_ledger,
        "error: <folder>/.fp-events/ledger.db: the ledger is damaged (it does not begin as a SQLite file does); save what can be read with `fp-events ledger recover`; the file itself is left as it is",
        74,
    ),
    Case(
        wrong="a ledger with a page of zeros",
        around=places.spoiled_ledger,
        says="error: <folder>/.fp-events/ledger.db: the ledger is damaged <reason>; save what can be read with `fp-events ledger recover`; the file itself is left as it is",
        code=74,
        volatile={"reason": r"\(Page .*?\)(?=;)"},
    ),
    _ledger(
        "`ledger check` of a damaged ledger",
        places.torn_ledger,
        "error: <folder>/.fp-events/ledger.db: 1 finding; copy what is left with `fp-events ledger recover`",
        74,
        "ledger",
        "check",
    ),
    _ledger(
        "a ledger of a newer version",
        places.newer_ledger,
        "error: <folder>/.fp-events/ledger.db: the ledger has version 99, this program knows 2; use the newer fp-events that wrote it, or another file",
        74,
    ),
    _ledger(
        "a SQLite file of another program",
        places.foreign_ledger,
        "error: <folder>/.fp-events/ledger.db: this SQLite file belongs to another program; give the ledger a file of its own",
        74,
    ),
    _ledger(
        "`runs show` of a run that there is not",
        places.ledger,
        "error: there is no run '0198'; see `fp-events runs list`; finished runs are kept as long as `ledger.retention` says",
        64,
        "runs",
        "show",
        "0198",
    ),
    _ledger(
        "`runs list` of a pipeline that there is not",
        places.ledger,
        "error: there is no pipeline 'alrets'; did you mean 'alerts'?",
        64,
        "runs",
        "list",
        "-p",
        "alrets",
    ),
    _ledger(
        "`runs list` of an outcome that there is not",
        places.ledger,
        "error: runs.list: 'outcome' must be one of succeeded, failed, timed_out, expired, rejected, skipped, cancelled",
        64,
        "runs",
        "list",
        "--outcome",
        "good",
    ),
    _ledger(
        "`runs list` since a time that is none",
        places.ledger,
        "error: --since 'soon' is no time; write 2h for two hours ago, or 2026-01-31T08:00",
        64,
        "runs",
        "list",
        "--since",
        "soon",
    ),
    _ledger(
        "`runs cancel` of nothing",
        places.ledger,
        "error: name the runs, or say which by options, or --all; `fp-events runs list` shows ids",
        64,
        "runs",
        "cancel",
    ),
    _ledger(
        "`runs cancel` of a run that there is not",
        places.ledger,
        "error: there is no run '0198'; see `fp-events runs list`; finished runs are kept as long as `ledger.retention` says",
        64,
        "runs",
        "cancel",
        "0198",
    ),
    _ledger(
        "`runs purge` of many where nobody can be asked",
        places.ledger,
        "error: nobody is there to be asked 'Delete for good all finished runs with outcome failed?'; add --yes",
        64,
        "runs",
        "purge",
        "--outcome",
        "failed",
    ),
    _ledger(
        "`dlq retry` of nothing",
        places.ledger,
        "error: name the runs, or say --all; `fp-events dlq list` shows their ids",
        64,
        "dlq",
        "retry",
    ),
    _ledger(
        "`dlq retry` of a run that there is not",
        places.ledger,
        "error: there is no run '0198'; see `fp-events runs list`; finished runs are kept as long as `ledger.retention` says",
        64,
        "dlq",
        "retry",
        "0198",
    ),
    _ledger(
        "`state show` of a key that there is not",
        places.ledger,
        "error: pipeline 'alerts' keeps no state for key 'a'; see `fp-events state list`",
        64,
        "state",
        "show",
        "alerts",
        "a",
    ),
)
