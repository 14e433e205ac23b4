"""Wrong messages to a daemon that is right: each ends as a dead letter, or is answered with a refusal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BadMessage:
    """A message that cannot become a result."""

    wrong: str
    #: Second level of its topic, ``plant/<name>/temperature``.
    name: str
    payload: bytes
    #: The dead letter's error.
    says: str
    outcome: str = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRequest:
    """A request on a control topic that is refused."""

    wrong: str
    command: str
    payload: bytes
    #: The reply's error.
    says: str


MESSAGES = (
    BadMessage(
        wrong="a payload that is not JSON",
        name="text",
        payload=b"21.5 degrees",
        says="Undecodable: the payload is not JSON: unexpected content after document, at byte 5",
    ),
    BadMessage(
        wrong="a payload with single quotes",
        name="quotes",
        payload=b"{'value': 21.5}",
        says="Undecodable: the payload is not JSON: unexpected character, expected a string key, at byte 1; JSON takes double quotes only",
    ),
    BadMessage(
        wrong="an empty payload", name="empty", payload=b"", says="Undecodable: the payload is not JSON: it is empty"
    ),
    BadMessage(
        wrong="a payload in another encoding than UTF-8",
        name="latin",
        payload='{"value": "20 °C"}'.encode("latin-1"),
        says="Undecodable: the payload is not JSON: invalid UTF-8 at byte 14",
    ),
    BadMessage(
        wrong="JSON with NaN",
        name="nan",
        payload=b'{"value": NaN}',
        says="Undecodable: the payload is not JSON: unexpected character, expected a JSON value, at byte 10; JSON has no NaN and no infinity: send null",
    ),
    BadMessage(
        wrong="an integer beyond 64 bits",
        name="big",
        payload=b'{"value": 123456789012345678901234567890}',
        says="Undecodable: the payload is not accepted as JSON: the integer at byte 10 is beyond 64 bits; send it as text",
    ),
    BadMessage(
        wrong="half of a surrogate pair",
        name="surrogate",
        payload=b'{"value": "\\ud800"}',
        says="Undecodable: the payload is not JSON: no low surrogate in string, at byte 11",
    ),
    BadMessage(
        wrong="JSON that is nested a million deep",
        name="deep",
        payload=b"[" * 1_000_000 + b"]" * 1_000_000,
        says="Undecodable: the payload is not accepted as JSON: it is nested too deep, at byte 1025",
    ),
    BadMessage(
        wrong="JSON that is nested 100 deep",
        name="nested",
        payload=b'{"value":' * 100 + b"1" + b"}" * 100,
        says="Undecodable: the payload is not accepted as JSON: it is nested deeper than 64 levels",
    ),
    BadMessage(
        wrong="JSON of more than a million values",
        name="many",
        payload=b"[" + b"1," * 1_000_001 + b"1]",
        says="Undecodable: the payload is not accepted as JSON: it holds more than 1000000 values",
    ),
    BadMessage(
        wrong="a payload above 16 MiB",
        name="large",
        payload=b'{"value": "' + b"x" * 2**24 + b'"}',
        says="Undecodable: the payload has 16777229 bytes, and 16777216 are allowed; send less in one message",
    ),
    BadMessage(
        wrong="a field that the map needs is missing",
        name="field",
        payload=b'{"valeu": 21.5}',
        says="InputInvalid: payload.value: payload has no 'value'; give the path a default (payload.value ?? null) if that may be",
    ),
    BadMessage(
        wrong="a list where the map needs an object",
        name="list",
        payload=b"[21.5]",
        says="InputInvalid: payload.value: payload is a list, so it has no 'value'; give the path a default (payload.value ?? null) if that may be",
    ),
    BadMessage(
        wrong="text where the function computes with a number",
        name="type",
        payload=b'{"value": "hot"}',
        says="TypeError: '<=' not supported between instances of 'str' and 'float'",
        outcome="failed",
    ),
    BadMessage(
        wrong="a value that makes no topic",
        name="topic",
        payload=b'{"value": 90, "site": "a+b"}',
        says="TemplateError: output 'alert': {value.site} holds a character that no topic may have: +, # or NUL",
        outcome="failed",
    ),
    BadMessage(
        wrong="a value that has no place in JSON",
        name="json",
        payload=b'{"value": 1e9}',
        says="EncodeError: output 'alert': a value of type object has no JSON form; return dicts, lists, text or numbers",
        outcome="failed",
    ),
)

REQUESTS = (
    BadRequest(
        wrong="a control request that is not JSON",
        command="run",
        payload=b"alerts",
        says="run: the request is not a JSON object",
    ),
    BadRequest(
        wrong="a control request that does not say when it was sent",
        command="run",
        payload=b'{"pipeline": "alerts"}',
        says="run: 'sent_at' is missing; give the time of sending, e.g. 1767225600",
    ),
    BadRequest(
        wrong="a control request that is too old",
        command="run",
        payload=b'{"pipeline": "alerts", "sent_at": "2020-01-01T00:00:00Z"}',
        says="run: the request was sent <seconds> s ago, more than 60; send it again",
    ),
    BadRequest(
        wrong="a control request for a pipeline that is not allowed",
        command="run",
        payload=b'{"pipeline": "alrets", "sent_at": <now>}',
        says="run: pipeline 'alrets' may not be started by MQTT; name it under control.allow",
    ),
    BadRequest(
        wrong="a control request with an input that is not allowed",
        command="run",
        payload=b'{"pipeline": "alerts", "inputs": {"line": "a"}, "sent_at": <now>}',
        says="run: input 'line' of 'alerts' may not be given by MQTT; name it under control.allow.alerts.inputs",
    ),
    BadRequest(
        wrong="a control request for an executor that the project does not use",
        command="run",
        payload=b'{"pipeline": "alerts", "executor": "ray", "sent_at": <now>}',
        says="run: 'executor' must be a type that this project's pipelines use, when it is given by MQTT; there are: none",
    ),
    BadRequest(
        wrong="a control command that there is not",
        command="reboot",
        payload=b"{}",
        says="unknown command 'reboot'; known are status, pause, resume, reload, runs.wait, run, runs.list, runs.show, runs.cancel, runs.retry, runs.replay, runs.purge, dlq.list, dlq.show, dlq.retry, dlq.purge, state.list, state.show, state.reset, schedules.list, schedules.show, schedules.add, schedules.pause, schedules.resume, schedules.remove, schedules.sync",
    ),
)

#: Beside the files of `PROJECT`.
FILES = {
    "conf/project.yml": """\
name: plant
mqtt:
  url: mqtt://127.0.0.1:${PORT}
control:
  mqtt: true
  allow:
    alerts:
      inputs: [reading]
""",
    "conf/pipelines/alerts.yml": """\
triggers:
  - topic: plant/{line}/temperature
    format: json
    map:
      reading: payload.value
      line: topic.line
      site: payload.site ?? "home"
    key: "{line}"
outputs:
  - node: alert
    topic: alerts/{value.site}
""",
    "pipelines/alerts.py": '''\
def alert(reading: float, line: str, site: str, limit: float = 80.0) -> dict | None:
    """What to tell of a line that is too hot."""
    if reading <= limit:
        return None
    return {"line": line, "site": site, "reading": object() if reading > 1e6 else reading}
''',
}
