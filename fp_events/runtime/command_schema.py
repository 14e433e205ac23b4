"""JSON Schema (2020-12) of the command table: what each command takes, whichever the door.

python -m fp_events.runtime.command_schema docs/commands.schema.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fp_events.domain.run import Outcome, RunState

from .command import MOST
from .commands import COMMANDS
from .commands_submit import LEVELS, MOST_PRIORITY, MOST_RETRIES, RUN_ID

_Schema = Mapping[str, Any]


def _text(about: str) -> _Schema:
    return {"type": "string", "description": about}


def _texts(about: str) -> _Schema:
    return {"type": "array", "items": {"type": "string"}, "description": about}


def _flag(about: str) -> _Schema:
    return {"type": "boolean", "description": about}


def _object(about: str) -> _Schema:
    return {"type": "object", "description": about}


def _whole(about: str, least: int, most: int) -> _Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "description": about}


def _duration(about: str) -> _Schema:
    return {"type": ["number", "string"], "minimum": 0, "description": f"{about}; seconds, or text such as 2h30m."}


def _moment(about: str) -> _Schema:
    return {
        "type": ["number", "string"],
        "description": f"{about}; ISO 8601 with its zone, or seconds since 1970.",
    }


def _words(about: str, known: list[str]) -> _Schema:
    word = "|".join(known)
    return {"type": "string", "pattern": rf"^\s*({word})\s*(,\s*({word})\s*)*$", "description": about}


#: Each argument, by the name that it has in every command that takes it.
ARGUMENTS: Mapping[str, _Schema] = {
    "pipeline": _text("A pipeline of the project."),
    "trigger": _text("One trigger of it, by its topic as written."),
    "key": _text("A run's key."),
    "run_id": _text("A run, by its id or a beginning of it that no other has; of a new run, an id of your own."),
    "run_ids": _texts("Runs, by their ids or beginnings that no others have."),
    "all": _flag("Everything that the other arguments do not exclude."),
    "state": _words("States, with commas between them.", [state.value for state in RunState]),
    "outcome": _words("Outcomes, with commas between them.", [outcome.value for outcome in Outcome]),
    "since": _moment("Created at this time or later"),
    "until": _moment("Created before this time"),
    "limit": _whole("Rows of a page.", 1, MOST),
    "before": {"type": "number", "description": "Where the page begins: `next` of the one before."},
    "after": _text("Where the page begins: `next` of the one before."),
    "inputs": _object("Inputs by name; above the pipeline's own."),
    "final_vars": _texts("The nodes to compute."),
    "config": _object("Laid over `run.config`."),
    "run_at": _moment("Not to start before"),
    "run_in": _duration("Not to start before so much time has passed"),
    "deadline": _duration("The run ends timed_out after this"),
    "priority": _whole("Higher ones start first.", 0, MOST_PRIORITY),
    "max_retries": _whole("Attempts after the first.", 0, MOST_RETRIES),
    "retry_delay": _duration("Before the first retry"),
    "jitter_factor": {"type": "number", "minimum": 0, "maximum": 1, "description": "Spreads the delays."},
    "timeout": _duration("Of one attempt"),
    "log_level": {"enum": list(LEVELS), "description": "Of the lines that the log has about the run."},
    "executor": {
        "type": ["string", "object"],
        "description": "Where the run executes: a type, or an object with `type` and its settings.",
    },
    "cache": {"type": ["boolean", "object"], "description": "On, off, or `{recompute: [nodes]}`."},
    "with_adapter": {
        "type": "object",
        "additionalProperties": {"type": "boolean"},
        "description": "Adapters that are on, or off, for this run.",
    },
    "wait": _flag("Answer when the run has ended."),
    "timeout_s": {"type": "number", "description": "Seconds to wait; without it, for ever."},
    "schedule_id": _text("A schedule; of a new one, an id of your own."),
    "schedule_ids": _texts("Schedules."),
    "overwrite": _flag("Take the place of a schedule with the same id."),
    "cron": {"type": ["string", "object"], "description": "A cron string, or fields such as hour and minute."},
    "interval": {"type": ["number", "string", "object"], "description": "Seconds, text such as 1h30m, or fields."},
    "date": _text("ISO 8601: once, then."),
    "timezone": _text("Such as Europe/Berlin."),
    "start": _text("ISO 8601: not before."),
    "end": _text("ISO 8601: not after."),
    "jitter": _duration("Each run comes later by a random time up to this"),
    "misfire_grace": _duration("A run that is later than this is left out"),
    "coalesce": _flag("Of missed runs only the last one."),
    "max_missed": _whole("Missed runs that are caught up with.", 1, MOST),
}

#: Arguments without which a command is refused.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "run": ("pipeline",),
    "pause": ("pipeline",),
    "resume": ("pipeline",),
    "runs.show": ("run_id",),
    "runs.wait": ("run_id",),
    "dlq.show": ("run_id",),
    "state.show": ("pipeline",),
    "state.reset": ("pipeline",),
    "schedules.show": ("schedule_id",),
    "schedules.add": ("pipeline",),
}


def arguments_of(name: str) -> dict[str, Any]:
    """The schema of one command's arguments: what the body of its request holds by HTTP."""
    command = COMMANDS[name]
    properties = {each: dict(ARGUMENTS[each]) for each in command.arguments}
    if name == "run":
        properties["run_id"]["pattern"] = f"^{RUN_ID.pattern}$"
    return {
        "type": "object",
        "description": " ".join((command.call.__doc__ or "").split()),
        "properties": properties,
        "required": list(_NEEDED.get(name, ())),
        "additionalProperties": False,
    }


def request_schema() -> dict[str, Any]:
    """The schema of a line to the socket; `$defs` has the arguments by command, which are the body by HTTP."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A request to an fp-events daemon",
        "type": "object",
        "properties": {"command": {"enum": list(COMMANDS)}, "arguments": {"type": "object"}},
        "required": ["command"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"command": {"const": name}}},
                "then": {"properties": {"arguments": {"$ref": f"#/$defs/{name}"}}},
            }
            for name in COMMANDS
        ],
        "$defs": {name: arguments_of(name) for name in COMMANDS},
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(request_schema(), indent=2) + "\n", encoding="utf-8")
