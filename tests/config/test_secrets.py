"""Secrets go to the broker and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fp_events.config import connect_options
from fp_events.domain.errors import ConfigError

from .projects import loaded, refused, write

SECRET = "hunter2!hunter2"


def test_a_working_configuration_shows_no_secret(tmp_path: Path) -> None:
    """Neither `show` nor `repr` nor a warning holds one, wherever it came from."""
    root = write(
        tmp_path,
        project=f"mqtt:\n  url: mqtts://u:{SECRET}@h\n  password: {SECRET}\n",
        a=f"""\
        run:
          inputs: {{db: "postgresql://u:{SECRET}@h/db", api_key: {SECRET}}}
          config: {{nested: {{access_token: {SECRET}}}}}
        params:
          list: [{{password: {SECRET}}}]
        """,
    )

    config = loaded(root)

    options = connect_options(config)
    texts = [
        json.dumps(config.show()),
        json.dumps(config.show(origins=True)),
        repr(config),
        repr(config.mqtt),
        repr(config.pipelines),
        repr(config.warnings),
        repr(options),
    ]
    assert SECRET == options.password
    assert [] == [text for text in texts if SECRET in text]
    assert "mqtts://***@h" == config.show()["mqtt"]["url"]
    assert "***" == config.show()["mqtt"]["password"]


WRONG = {
    "password of a wrong type": "mqtt:\n  password: [{secret}]\n",
    "malformed URL": "mqtt:\n  url: mqtt://u:{secret}@h:x\n",
    "scheme": "mqtt:\n  url: http://u:{secret}@h\n",
    "slash in the password": "mqtt:\n  url: mqtt://u:/{secret}@h\n",
    "hash in the password": "mqtt:\n  url: 'mqtt://u:#{secret}@h'\n",
    "percent in the password": "mqtt:\n  url: 'mqtt://u:?{secret}@h'\n",
    "variable in a number": "run:\n  timeout: ${SECRET}\n",
    "variable in a topic": "mqtt:\n  base_topic: a/#/${SECRET}\n",
    "variable in a choice": "log:\n  level: x${SECRET}\n",
    "variable in a name": "name: A${SECRET}\n",
    "two passwords": "mqtt:\n  password: {secret}\n  password_file: x\n",
    "begins with a tag's sign": "mqtt:\n  password: !{secret}\n",
    "begins with an alias's sign": "mqtt:\n  password: *{secret}\n",
    "unfinished": 'mqtt:\n  password: "{secret}\n',
    "bad escape": 'mqtt:\n  password: "\\{secret}"\n',
}


@pytest.mark.parametrize("case", WRONG)
def test_no_error_repeats_a_secret(case: str, tmp_path: Path) -> None:
    """A wrong configuration is often pasted into a chat."""
    root = write(tmp_path, project=WRONG[case].replace("{secret}", SECRET))

    problems = refused(root, {"SECRET": SECRET})

    assert len(problems) >= 1
    assert [] == [problem for problem in problems if SECRET in problem]


def test_an_error_names_the_variable_instead(tmp_path: Path) -> None:
    """The value of a variable in YAML may be a secret in the wrong place."""
    root = write(tmp_path, a="run:\n  timeout: ${PIN}\n")

    assert ["conf/pipelines/a.yml:2: run.timeout: expected a duration such as 30s, got the value of PIN"] == refused(
        root, {"PIN": SECRET}
    )


def test_a_variable_is_no_plain_text_password(tmp_path: Path) -> None:
    """The recommended ways do not warn."""
    root = write(tmp_path, project="mqtt:\n  url: mqtt://u:${PW}@h\n  password: ${PW}\n")

    assert () == loaded(root, {"PW": SECRET}).warnings
    assert () == loaded(write(tmp_path, project=""), {"FP_EVENTS_MQTT__PASSWORD": SECRET}).warnings


def test_a_higher_password_replaces_a_lower_one(tmp_path: Path) -> None:
    """An overlay's file is not outvoted by a password below it, nor the reverse."""
    root = write(
        tmp_path,
        project="mqtt: {url: 'mqtt://h', password: '${PW}'}\n",
        env_project="mqtt: {password_file: secret.txt}\n",
    )
    (root / "secret.txt").write_text("from-file\nsecond line\n")
    environ = {"PW": "from-yaml"}

    found = [
        connect_options(loaded(root, environ)).password,
        connect_options(loaded(root, environ, environment="prod")).password,
        connect_options(loaded(root, environ | {"FP_EVENTS_MQTT__PASSWORD": "x"}, environment="prod")).password,
    ]

    assert ["from-yaml", "from-file", "x"] == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"", "its first line is empty"), (b"\xff\xfe", "it is not UTF-8 text")],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_a_password_file_that_cannot_be_used_is_refused(
    content: bytes | None, reason: str, absolute: bool, tmp_path: Path
) -> None:
    """The file is read when connecting, and the error names the setting."""
    file = str(tmp_path / "pw") if absolute else "pw"
    root = write(tmp_path, project=f"mqtt:\n  url: mqtt://h\n  password_file: {file}\n")
    if content is not None:
        (tmp_path / "pw").write_bytes(content)
    config = loaded(root)

    with pytest.raises(ConfigError) as caught:
        connect_options(config)

    assert (
        f"conf/project.yml:3: mqtt.password_file: the file {file} cannot be used: {reason}; "
        "correct the path, or the file's owner and mode"
    ) == str(caught.value)
