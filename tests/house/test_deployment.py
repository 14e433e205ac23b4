"""The files that somebody runs in production."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import free_port, require_program

from .tree import ROOT

PASSWORDS = {"fp-events": "one", "press1": "two", "operator": "three"}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Mosquitto with the production example; only places, port and user are changed."""
    mosquitto, passwd = require_program("mosquitto"), require_program("mosquitto_passwd")
    folder, port = tmp_path_factory.mktemp("mosquitto"), free_port()
    conf = (ROOT / "mosquitto" / "mosquitto.conf").read_text()
    for old, new in {
        "listener 1883": f"listener {port} 127.0.0.1",
        "/mosquitto/data/": f"{folder}/",
        "/mosquitto/config/acl": f"{folder}/acl",
    }.items():
        assert old in conf
        conf = conf.replace(old, new)
    if os.geteuid() == 0:
        conf += "user root\n"
    (folder / "mosquitto.conf").write_text(conf)
    (folder / "acl").write_text((ROOT / "mosquitto" / "acl.example").read_text())
    (folder / "passwords").touch(mode=0o600)
    for name, password in PASSWORDS.items():
        subprocess.run([passwd, "-b", folder / "passwords", name, password], check=True, capture_output=True)
    with (folder / "log").open("w") as log:
        broker = subprocess.Popen([mosquitto, "-c", folder / "mosquitto.conf"], stderr=log)
        try:
            _wait(port, broker, folder)
            yield port
        finally:
            broker.terminate()
            broker.wait(10)


def _wait(port: int, broker: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert broker.poll() is None, (folder / "log").read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("Mosquitto does not listen")


def client(program: str, port: int, user: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Mosquitto's client as one of the users, with MQTT 5, where a denied publish is told."""
    name = ["-u", user, "-P", PASSWORDS.get(user, "wrong")]
    command = [require_program(program), "-h", "127.0.0.1", "-p", str(port), "-V", "5", *name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_strangers_are_refused(port: int) -> None:
    """Nobody connects without a password."""
    refused = client("mosquitto_pub", port, "stranger", "-t", "plant/stranger/temperature", "-m", "1")
    assert 0 != refused.returncode
    assert "Not authorized" in refused.stderr


@pytest.mark.parametrize(
    ("user", "topic", "allowed"),
    [
        ("press1", "plant/press1/temperature", True),
        ("press1", "plant/press2/temperature", False),
        ("press1", "alerts/press1", False),
        ("fp-events", "alerts/press1", True),
        ("fp-events", "fp/plant/dlq/heat", True),
        ("fp-events", "plant/press1/temperature", False),
        ("operator", "alerts/press1", False),
    ],
)
def test_access_is_what_the_example_says(port: int, user: str, topic: str, allowed: bool) -> None:
    """A device writes its own topics, the daemon its results, the operator nothing."""
    done = client("mosquitto_pub", port, user, "-q", "1", "-t", topic, "-m", "1", "-d")
    assert allowed == ("RC:0)" in done.stdout or "received PUBACK (Mid: 1, RC:16)" in done.stdout), done.stdout


def test_health_check_reads_its_topic(port: int) -> None:
    """The command of docker-compose.yml works with this configuration."""
    done = client("mosquitto_sub", port, "fp-events", "-t", "$SYS/broker/uptime", "-C", "1", "-W", "5")
    assert 0 == done.returncode
    assert "seconds" in done.stdout


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """docker-compose.yml."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_compose_publishes_on_loopback_alone(compose: dict[str, Any]) -> None:
    """Opening a broker to a network is a decision that the file does not take."""
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [] == [port for port in ports if not port.startswith("127.0.0.1:")]


def test_compose_names_what_exists(compose: dict[str, Any]) -> None:
    """Bound files are in the project, volumes and secrets are declared, services come back."""
    volumes = [volume.split(":") for service in compose["services"].values() for volume in service["volumes"]]
    bound = [parts[0] for parts in volumes if parts[0].startswith("./")]
    assert [] == [name for name in bound if not (ROOT / name).exists()]
    assert set(compose["volumes"]) == {parts[0] for parts in volumes} - set(bound)
    for service in compose["services"].values():
        assert set(service["secrets"]) <= set(compose["secrets"])
        assert "unless-stopped" == service["restart"]


def test_compose_secrets_are_kept_out_of_version_control(compose: dict[str, Any]) -> None:
    """The folder of the secrets' files is ignored."""
    folders = {f"{Path(secret['file']).parent}/" for secret in compose["secrets"].values()}
    assert {"secrets/"} == folders
    assert folders <= set((ROOT / ".gitignore").read_text().splitlines())


def test_daemon_settings_in_compose_are_understood(compose: dict[str, Any], tmp_path: Path) -> None:
    """The environment of the daemon's container is one that the configuration accepts."""
    secret = tmp_path / "mqtt_password"
    secret.write_text("s3cret\n")
    environment = compose["services"]["fp-events"]["environment"]
    environment = {**environment, "FP_EVENTS_MQTT__PASSWORD_FILE": str(secret)}
    program = require_program(str(Path(sys.executable).with_name("fp-events")))
    checked = subprocess.run(
        [program, "--project", ROOT, "check"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == checked.returncode, checked.stdout + checked.stderr


def test_image_copies_what_the_build_is_given() -> None:
    """.dockerignore lets through exactly what the Dockerfile copies."""
    copied = {
        name
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    }
    passed = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert copied == passed
    assert [] == [name for name in copied if not (ROOT / name).exists()]
