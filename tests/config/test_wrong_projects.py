"""What a user is told of a wrong project file, environment or command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from .projects import loaded, refused, write

P = "conf/project.yml"
_URL = "expected 'embedded' or a URL such as mqtt://broker.example:1883 (mqtt, mqtts, ws or wss)"

OURS = "mqtt5 speaks MQTT 5 over TCP and TLS"
CASES: dict[str, tuple[str, str]] = {
    "name": (
        "name: My Plant\n",
        f"{P}:1: name: expected a name such as plant-1, of a-z, 0-9, '_' and '-', got 'My Plant'",
    ),
    "job queue": (
        "job_queue: {type: rq}\n",
        f"{P}:1: FlowerPower's job queue is replaced by the daemon's ledger; try `fp-events migrate` or remove it",
    ),
    "http without a token": (
        "http: {listen: 8080}\n",
        (
            f"{P}:1: http.listen is given without a token: everybody could command;"
            " give http.token_file, or FP_EVENTS_HTTP__TOKEN"
        ),
    ),
    "http with two tokens": (
        "http:\n  listen: 8080\n  token: ${T:-abcdefghijklmnopq}\n  token_file: t\n",
        f"{P}:4: http.token and http.token_file are both given; keep one",
    ),
    "http nowhere": (
        "http: {listen: plant, token_file: t}\n",
        f'{P}:1: http.listen: expected an address such as "127.0.0.1:8080", or a port',
    ),
    "probes": (
        "health: {bind: here}\n",
        f'{P}:1: health.bind: expected an address such as "127.0.0.1:8080", or a port',
    ),
    "probes' port": (
        "health: {bind: 70000}\n",
        f'{P}:1: health.bind: expected an address such as "127.0.0.1:8080", or a port',
    ),
    "client": (
        "mqtt: {client: native}\n",
        f"{P}:1: mqtt.client: expected auto, mqtt5 or aiomqtt, got 'native'",
    ),
    "client and protocol": (
        "mqtt: {client: mqtt5, protocol: 3.1.1}\n",
        f"{P}:1: mqtt.client: {OURS}, not MQTT 3.1.1; leave mqtt.client out, or use aiomqtt",
    ),
    "client and WebSocket": (
        "mqtt: {client: mqtt5, url: 'ws://broker'}\n",
        f"{P}:1: mqtt.client: {OURS}, not WebSocket; leave mqtt.client out, or use aiomqtt",
    ),
    "two keys": (
        "control:\n  hmac_key: ${K:-sixteen characters}\n  hmac_key_file: k\n",
        f"{P}:3: control.hmac_key and control.hmac_key_file are both given; keep one",
    ),
    "reply topic": (
        "control: {reply_topics: [answers/#]}\n",
        f"{P}:1: control.reply_topics[0]: topic 'answers/#': a topic to publish to has no wildcards, + or #",
    ),
    "no rate": (
        "control: {rate: 0}\n",
        f"{P}:1: control.rate: expected a whole number from 1 to 100000, got 0",
    ),
    "pipelines": (
        "pipelines: {a: {enabled: true}}\n",
        f"{P}:1: a pipeline's settings belong in conf/pipelines/<name>.yml, not under `pipelines`",
    ),
    "inputs for all": (
        "run: {inputs: {x: 1}}\n",
        f"{P}:1: run: `inputs` belongs to one pipeline, in conf/pipelines/<name>.yml",
    ),
    "scheme": ("mqtt: {url: 'http://h'}\n", f"{P}:1: mqtt.url: {_URL}"),
    "host": ("mqtt: {url: 'mqtt://'}\n", f"{P}:1: mqtt.url: the URL has no host, or one that is malformed; {_URL}"),
    "port": (
        "mqtt: {url: 'mqtt://h:99999'}\n",
        f"{P}:1: mqtt.url: the URL's host or port is malformed; a port is 1 to 65535, an IPv6 address is in []",
    ),
    "topic in the URL": (
        "mqtt: {url: 'mqtt://h/plant'}\n",
        (
            f"{P}:1: mqtt.url: the URL has something after its port; topics belong in pipelines, "
            "and '@', ':', '/', '?' and '#' in a password are written %40, %3A, %2F, %3F and %23"
        ),
    ),
    "protocol": ("mqtt: {protocol: 3.1}\n", f"{P}:1: mqtt.protocol: expected 5 or 3.1.1, got 3.1"),
    "client id": (
        "mqtt: {client_id: a/b}\n",
        f"{P}:1: mqtt.client_id: expected a name such as plant-1, without '/', '+', '#' or spaces, got 'a/b'",
    ),
    "base topic": (
        "mqtt: {base_topic: fp/}\n",
        (
            f"{P}:1: mqtt.base_topic: expected a topic such as fp/plant, which neither begins nor ends with '/' "
            "nor begins with '$'"
        ),
    ),
    "receive maximum": (
        "mqtt: {receive_maximum: 0}\n",
        f"{P}:1: mqtt.receive_maximum: expected a whole number from 1 to 65535, got 0",
    ),
    "keepalive": ("mqtt: {keepalive: 1d}\n", f"{P}:1: mqtt.keepalive: expected a duration of at most 65535s, got '1d'"),
    "two passwords": (
        "mqtt:\n  password: ${PW:-x}\n  password_file: f\n",
        f"{P}:3: mqtt.password and mqtt.password_file are both given; keep one of them",
    ),
    "key without certificate": (
        "mqtt:\n  url: mqtts://h\n  tls:\n    key_file: k\n",
        f"{P}:4: mqtt.tls.key_file is given without cert_file; give both",
    ),
    "PostgreSQL": (
        "ledger: {url: 'postgresql://h/db'}\n",
        f"{P}:1: ledger.url: a PostgreSQL ledger is not available in this version; use sqlite:///<file> or memory:",
    ),
    "ledger": (
        "ledger: {url: ledger.db}\n",
        f"{P}:1: ledger.url: expected sqlite:///<file relative to the project>, sqlite:////<absolute file> or memory:",
    ),
    "size": (
        "ledger: {retention: {max_bytes: 2 gigs}}\n",
        f"{P}:1: ledger.retention.max_bytes: expected a size such as 2GiB, got '2 gigs'",
    ),
    "allowed pipeline": ("control: {allow: [b]}\n", f"{P}:1: control.allow: there is no pipeline 'b'; there are: a"),
    "allowed list": (
        "control: {allow: [[b]]}\n",
        f"{P}:1: control.allow: expected a list of names, or a block of name to {{inputs: [...]}}",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_file_is_refused_with_place_and_mend(case: str, tmp_path: Path) -> None:
    """One wrong thing gives one sentence, and it says where."""
    text, message = CASES[case]
    root = write(tmp_path, project=text)

    assert [message] == refused(root)


ENVIRONMENT: dict[str, tuple[dict[str, str], str]] = {
    "typo": (
        {"FP_EVENTS_MQTT__ULR": "x"},
        "environment: the variable FP_EVENTS_MQTT__ULR names no setting; did you mean FP_EVENTS_MQTT__URL?",
    ),
    "single underscore": (
        {"FP_EVENTS_LOG_LEVEL": "INFO"},
        "environment: the variable FP_EVENTS_LOG_LEVEL names no setting; did you mean FP_EVENTS_LOG__LEVEL?",
    ),
    "pipeline": (
        {"FP_EVENTS_PIPELINES__B__RUN__TIMEOUT": "1s"},
        (
            "environment: the variable FP_EVENTS_PIPELINES__B__RUN__TIMEOUT names no setting; "
            "did you mean FP_EVENTS_PIPELINES__A__RUN__TIMEOUT?"
        ),
    ),
    "below a value": (
        {"FP_EVENTS_NAME__X": "1"},
        "environment: the variable FP_EVENTS_NAME__X names no setting; did you mean FP_EVENTS_NAME?",
    ),
    "type": (
        {"FP_EVENTS_RUN__TIMEOUT": "soon"},
        "environment FP_EVENTS_RUN__TIMEOUT: run.timeout: expected a duration such as 30s, got 'soon'",
    ),
    "list": (
        {"FP_EVENTS_PIPELINES__A__RUN__FINAL_VARS": "alert"},
        'environment FP_EVENTS_PIPELINES__A__RUN__FINAL_VARS: expected JSON such as ["a", "b"]',
    ),
    "block": (
        {"FP_EVENTS_PIPELINES__A__PARAMS": "[1]"},
        'environment FP_EVENTS_PIPELINES__A__PARAMS: expected JSON such as {"name": 1}',
    ),
    "not available": (
        {"FP_EVENTS_HTTP__LISTEN": "1"},
        (
            "environment FP_EVENTS_HTTP__LISTEN: http.listen is given without a token: everybody could command;"
            " give http.token_file, or FP_EVENTS_HTTP__TOKEN"
        ),
    ),
    "inside JSON": (
        {"FP_EVENTS_PIPELINES__A__TRIGGERS": '[{"topic": "a", "qos": "1"}]'},
        "environment FP_EVENTS_PIPELINES__A__TRIGGERS: triggers[0].qos: expected a whole number from 0 to 2, got '1'",
    ),
}


@pytest.mark.parametrize("case", ENVIRONMENT)
def test_a_wrong_variable_is_refused(case: str, tmp_path: Path) -> None:
    """A variable that has no effect, or a wrong one, is an error that names it."""
    environ, message = ENVIRONMENT[case]
    root = write(tmp_path)

    assert [message] == refused(root, environ)


def test_a_wrong_command_line_is_refused(tmp_path: Path) -> None:
    """Settings of the command line are judged like those of files."""
    root = write(tmp_path)

    assert [
        "command: there is no pipeline 'b'; there are: a",
        "command: run.timeout: expected a duration such as 30s, got 'x'",
    ] == refused(root, overrides={"run": {"timeout": "x"}, "pipelines": {"b": {}}})
    assert ["command: pipelines.a: expected a block of keys, got 5"] == refused(root, overrides={"pipelines": {"a": 5}})
    assert ["command: pipelines: expected a block of keys, got 5"] == refused(root, overrides={"pipelines": 5})


def test_an_environment_without_a_folder_is_refused(tmp_path: Path) -> None:
    """A misspelt environment must not run with another one's settings."""
    root = write(tmp_path, env_project="")

    assert [
        "environment FP_EVENTS_ENV: there is no folder conf/env/prd for the environment 'prd'; there are: prod"
    ] == refused(root, {"FP_EVENTS_ENV": "prd"})


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    """Whoever stands in the wrong folder is told so."""
    assert [
        (
            f"{tmp_path} is not a project: it has neither a folder conf nor a folder pipelines; "
            "go to a project's folder, or make one with `fp-events init`"
        )
    ] == refused(tmp_path)


WARNINGS: dict[str, tuple[str, str]] = {
    "password": (
        "mqtt: {url: 'mqtt://h', password: hunter2}\n",
        f"{P}:1: mqtt.password holds a password in plain text; use ${{VAR}}, password_file or FP_EVENTS_MQTT__PASSWORD",
    ),
    "URL": (
        "mqtt: {url: 'mqtt://u:hunter2@h'}\n",
        f"{P}:1: mqtt.url holds a password in plain text; use ${{VAR}}, password_file or FP_EVENTS_MQTT__PASSWORD",
    ),
    "TLS": (
        "mqtt: {url: 'mqtt://h', tls: {minimum: 1.3}}\n",
        f"{P}:1: mqtt.tls is unused: the URL asks for no TLS; use mqtts:// or wss:// for an encrypted connection",
    ),
    "session": (
        "mqtt: {session_expiry: 0}\n",
        (
            f"{P}:1: mqtt.session_expiry is 0: the broker keeps nothing for us while we are away; "
            "give it a duration such as 7d"
        ),
    ),
    "synchronous": (
        "ledger: {synchronous: normal}\n",
        (
            f"{P}:1: ledger.synchronous is `normal`: a power cut may lose messages that were acknowledged; "
            "use `full` where none may be lost"
        ),
    ),
    "memory": (
        "ledger: {url: 'memory:'}\n",
        (
            f"{P}:1: ledger.url is `memory:`: whatever is unfinished is lost when the daemon ends; "
            "use sqlite:///<file> where none may be lost"
        ),
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_a_doubtful_setting_warns(case: str, tmp_path: Path) -> None:
    """What works, but is seldom meant, is said and does not stop anything."""
    text, message = WARNINGS[case]
    root = write(tmp_path, project=text)

    assert [(message, True)] == [(str(warning), warning.warning) for warning in loaded(root).warnings]


def test_an_exception_that_nobody_knows_warns(tmp_path: Path) -> None:
    """A bare name is matched by class name, so one that the pipeline never names is doubtful."""
    root = write(tmp_path, a="run:\n  retry_exceptions: [ValueError, Flaky, Unheard]\n  executor: {max_workers: 2}\n")
    (root / "pipelines/a.py").write_text("class Flaky(Exception): ...\n")

    assert [
        (
            "conf/pipelines/a.yml:2: run.retry_exceptions: 'Unheard' is neither built in nor named in the pipeline's "
            "module; it is matched by class name alone; write it with its module if that is not meant"
        ),
        (
            "conf/pipelines/a.yml:3: run.executor.max_workers is unused: it belongs to threadpool, processpool, ray, "
            "dask and rq; give the executor such a type, or remove it"
        ),
    ] == [str(warning) for warning in loaded(root).warnings]
