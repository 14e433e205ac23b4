"""From broker settings to what a transport needs."""

from __future__ import annotations

from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # it ships no types
import pytest

from fp_events.config import connect_options
from fp_events.domain.connection import ConnectOptions, TlsOptions
from fp_events.domain.errors import ConfigError
from fp_events.domain.message import Publication, Subscription

from .projects import loaded, write


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://h", "mqtt://h:1883"),
        ("mqtt://h:2000/", "mqtt://h:2000"),
        ("mqtts://h", "mqtts://h:8883"),
        ("ws://h", "ws://h:80/mqtt"),
        ("wss://h/broker?x=1", "wss://h:443/broker?x=1"),
        ("mqtt://[fd00::1]:1884", "mqtt://[fd00::1]:1884"),
        ("MQTT://H.example", "mqtt://h.example:1883"),
        ("mqtt://user:p%40ss@h", "mqtt://h:1883"),
    ],
)
def test_urls_give_address_and_defaults(url: str, address: str, tmp_path: Path) -> None:
    """Scheme, host, default port, path."""
    config = loaded(write(tmp_path), {"FP_EVENTS_MQTT__URL": url})

    assert address == connect_options(config).address


def test_every_setting_arrives(tmp_path: Path) -> None:
    """What is configured is what the transport gets."""
    root = write(
        tmp_path,
        project="""\
        mqtt:
          url: mqtts://url-user:p%40ss@h
          protocol: 3.1.1
          client_id: c
          username: user
          tls: {ca_file: ca.pem, cert_file: cert.pem, minimum: 1.3}
          session_expiry: 1h
          receive_maximum: 10
          keepalive: 90
        """,
    )
    for name in ("ca.pem", "cert.pem"):
        (root / name).touch()
    subscriptions = (Subscription(filter="a/#"),)
    will = Publication(event_id="w", topic="t", payload=b"offline")

    found = connect_options(
        loaded(root), subscriptions=subscriptions, stale_filters=("b",), will=will, greeting=(will,)
    )

    expected = ConnectOptions(
        host="h",
        port=8883,
        tls=TlsOptions(ca_file=str(root / "ca.pem"), cert_file=str(root / "cert.pem"), minimum="1.3"),
        protocol="3.1.1",
        client_id="c",
        username="user",
        password="p@ss",
        session_expiry=3600,
        receive_maximum=10,
        keepalive=90,
        subscriptions=subscriptions,
        stale_filters=("b",),
        will=will,
        greeting=(will,),
    )
    assert expected == found


def test_the_embedded_broker_is_where_its_starter_says(tmp_path: Path) -> None:
    """No URL can know its port."""
    config = loaded(write(tmp_path))

    assert "mqtt://127.0.0.1:1999" == connect_options(config, host="127.0.0.1", port=1999).address
    with pytest.raises(ValueError, match="needs the host and port"):
        connect_options(config)


def test_a_missing_certificate_is_refused(tmp_path: Path) -> None:
    """Before the connection, with the line that names it."""
    root = write(tmp_path, project="mqtt:\n  url: mqtts://h\n  tls:\n    ca_file: ca.pem\n")
    config = loaded(root)

    with pytest.raises(ConfigError) as caught:
        connect_options(config)

    assert (
        "conf/project.yml:4: mqtt.tls.ca_file: the file ca.pem cannot be used: No such file or directory; "
        "correct the path, or the file's owner and mode"
    ) == str(caught.value)


def test_the_ledger_of_a_remote_project_is_on_this_machine(tmp_path: Path) -> None:
    """SQLite needs a local disk: a relative file is in the project's home, not in the copy of its files."""
    fsspec.filesystem("memory").pipe_file("/remote/conf/project.yml", b"ledger: {url: 'sqlite:///x.db'}\n")
    config = loaded("memory://remote", {"FP_EVENTS_HOME": str(tmp_path)})

    assert (config.home / "x.db", True) == (config.ledger_file, config.home.is_relative_to(tmp_path))
    assert not (config.home / "x.db").is_relative_to(config.root)
