"""The keys of ``conf/project.yml``."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator

from fp_events.domain.records import RetentionPolicy
from fp_events.domain.topics import validate_topic

from .adapter_keys import AdapterSettings
from .hook_keys import FUNCTION, HookSettings
from .keys import Block, Settings, of_flowerpower, setting
from .kinds import FLAG, SIZE, TEXT, checked, duration, matching, one_of, refuse, secret, whole
from .run_keys import LEVEL, NAME, RunDefaults
from .urls import check_ledger_url, check_mqtt_url, ledger_file

_DAY = 24 * 3600.0
#: The largest four-byte integer, the field's size in MQTT 5 (3.1.2.11.2).
_LONGEST_SESSION = 0xFFFFFFFF


def _base_topic(text: str) -> None:
    validate_topic(text)
    if text.startswith(("$", "/")) or text.endswith("/"):
        raise ValueError(
            "expected a topic such as fp/plant, which neither begins nor ends with '/' nor begins with '$'"
        )


def _reply_topic(text: str) -> None:
    validate_topic(text)
    if text.startswith("$") or text.endswith("/"):
        raise ValueError("expected a topic such as answers/plant, which neither begins with '$' nor ends with '/'")


class TlsSettings(Block):
    """TLS, used where the URL's scheme asks for it."""

    ca_file: Annotated[str, TEXT] | None = setting(
        None, "PEM file of the authorities to trust.", shown="the system's authorities"
    )
    cert_file: Annotated[str, TEXT] | None = setting(None, "PEM file of our own certificate, for mutual TLS.")
    key_file: Annotated[str, TEXT] | None = setting(None, "PEM file of the certificate's key.", shown="in `cert_file`")
    minimum: Annotated[Literal["1.2", "1.3"], one_of("1.2", "1.3")] = setting(
        "1.2", "The oldest TLS version to accept."
    )


class MqttSettings(Block):
    """How to reach the broker."""

    url: Annotated[str, secret(check_mqtt_url)] = setting(
        "embedded",
        "The broker: `mqtt://`, `mqtts://`, `ws://` or `wss://`, host and port (1883, 8883, 80, 443); "
        "`embedded` starts a private one.",
        secret=True,
    )
    protocol: Annotated[Literal["5", "3.1.1"], one_of("5", "3.1.1")] = setting("5", "The version of MQTT.")
    client: Annotated[Literal["auto", "mqtt5", "aiomqtt"], one_of("auto", "mqtt5", "aiomqtt")] = setting(
        "auto",
        "`mqtt5`: our own client, for MQTT 5 over TCP and TLS. `aiomqtt`: also for 3.1.1 and WebSocket, at several "
        "times the cost of a message. `auto`: ours wherever it can.",
    )
    client_id: (
        Annotated[str, matching(r"[^+#/\s\x00-\x1f]{1,200}", "a name such as plant-1, without '/', '+', '#' or spaces")]
        | None
    ) = setting(
        None, "The name of our session at the broker; one daemon only may use it.", shown="`fp-<name>-<hostname>`"
    )
    username: Annotated[str, TEXT] | None = setting(None, "Sent to the broker; wins over a user name in the URL.")
    password: Annotated[str, secret()] | None = setting(
        None,
        "Sent to the broker; wins over a password in the URL. Best left to `FP_EVENTS_MQTT__PASSWORD` or `${VAR}`.",
        secret=True,
    )
    password_file: Annotated[str, TEXT] | None = setting(
        None, "File whose first line is the password; read when connecting."
    )
    base_topic: Annotated[str, checked("topic", _base_topic)] | None = setting(
        None, "Where our own topics begin.", shown="`fp/<name>`"
    )
    tls: TlsSettings = setting(TlsSettings(), "TLS for `mqtts://` and `wss://`.")
    session_expiry: Annotated[float, duration(0, _LONGEST_SESSION)] = setting(
        7 * _DAY, "How long the broker keeps messages for us while we are away."
    )
    receive_maximum: Annotated[int, whole(1, 65535)] = setting(
        1000, "Messages that the broker may have under way to us unacknowledged."
    )
    keepalive: Annotated[float, duration(1, 65535)] = setting(30.0, "A connection silent for longer is lost.")


class RetentionSettings(Block):
    """How long finished work is kept. Unfinished runs and unsent results always are."""

    runs: Annotated[float, duration()] = setting(_DAY, "Finished runs.")
    max_bytes: Annotated[int, SIZE] = setting(
        2 * 1024**3, "Size of the ledger above which the oldest finished runs go."
    )
    dead_letters: Annotated[float, duration()] = setting(30 * _DAY, "Dead letters.")
    identities: Annotated[float, duration()] = setting(_DAY, "Identities by which duplicates are known.")

    def policy(self) -> RetentionPolicy:
        """As ledgers take it."""
        return RetentionPolicy(
            runs_age=self.runs,
            max_bytes=self.max_bytes,
            dead_letters_age=self.dead_letters,
            dedup_age=self.identities,
        )


class LedgerSettings(Block):
    """The durable record of messages and runs."""

    url: Annotated[str, checked("ledger URL", check_ledger_url)] = setting(
        "sqlite:///.fp-events/ledger.db",
        "`sqlite:///<file>` (relative to the project; four slashes: absolute), or `memory:`, which forgets.",
    )
    synchronous: Annotated[Literal["full", "normal"], one_of("full", "normal")] = setting(
        "full",
        "`full`: on the disk before a message is acknowledged. `normal`: faster, a power cut may lose the last second.",
    )
    retention: RetentionSettings = setting(RetentionSettings(), "How long finished work is kept.")

    @property
    def file(self) -> str | None:
        """The SQLite file, relative to the project's folder or absolute; None in memory."""
        return ledger_file(self.url)


class AllowSettings(Block):
    """What commands by MQTT may do with one pipeline."""

    inputs: tuple[Annotated[str, TEXT], ...] = setting((), "Inputs that a command may give.")


def _by_name(value: object) -> object:
    if isinstance(value, list):
        if not all(isinstance(name, str) for name in value):
            refuse("expected a list of names, or a block of name to {inputs: [...]}")
        return {name: {} for name in value}
    return {name: {} if item is None else item for name, item in value.items()} if isinstance(value, dict) else value


class ControlSettings(Block):
    """Commands to the live daemon."""

    mqtt: Annotated[bool, FLAG] = setting(False, "Whether commands are taken from `<base_topic>/control/#`.")
    allow: Annotated[dict[Annotated[str, TEXT], AllowSettings], BeforeValidator(_by_name)] = setting(
        {},
        "The pipelines that commands by MQTT may run: a list, or a block of name to `{inputs: [...]}`.",
        shown="none",
    )
    commands: tuple[Annotated[str, TEXT], ...] = setting(
        (), "The commands that are taken by MQTT, such as `[run, status]`.", shown="all"
    )
    reply_topics: tuple[Annotated[str, checked("topic", _reply_topic)], ...] = setting(
        (), "Topics at or below which replies may be asked for.", shown="`<base_topic>/reply`"
    )
    rate: Annotated[int, whole(1, 100_000)] = setting(
        100, "Requests by MQTT that are looked at each second; more are refused."
    )
    hmac_key: Annotated[str, secret()] | None = setting(
        None,
        "With it, requests by MQTT must be signed. Best left to `FP_EVENTS_CONTROL__HMAC_KEY` or `${VAR}`.",
        secret=True,
    )
    hmac_key_file: Annotated[str, TEXT] | None = setting(None, "File whose first line is that key; read at the start.")


class EventSettings(Block):
    """Events about runs, published by MQTT."""

    status: Annotated[Literal["terminal", "all", "none"], one_of("terminal", "all", "none")] = setting(
        "terminal", "Which: how runs ended, `all`, or `none`."
    )


_PORT = re.compile(r"(?:(?P<host>[^\s:]+|\[[0-9a-fA-F:]+\]):)?(?P<port>\d{1,5})")


def _listen(text: str) -> tuple[str, int]:
    """Host and port; a port alone is one of the loopback interface."""
    found = _PORT.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ValueError('expected an address such as "127.0.0.1:8080", or a port')
    return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])


def _port(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class HealthSettings(Block):
    """Probes by HTTP: `/livez` and `/readyz`."""

    bind: Annotated[str, checked("address", _listen), BeforeValidator(_port)] | None = setting(
        None, 'Where they are answered: `"127.0.0.1:8080"`, or a port of the loopback interface.', shown="nowhere"
    )

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port; None: no probes."""
        return None if self.bind is None else _listen(self.bind)


class HttpSettings(Block):
    """Commands by HTTP, for whoever has the token."""

    listen: Annotated[str, checked("address", _listen), BeforeValidator(_port)] | None = setting(
        None, 'Where they are taken: `"127.0.0.1:8090"`, or a port of the loopback interface.', shown="nowhere"
    )
    token: Annotated[str, secret()] | None = setting(
        None, "What requests must bring along. Best left to `FP_EVENTS_HTTP__TOKEN` or `${VAR}`.", secret=True
    )
    token_file: Annotated[str, TEXT] | None = setting(None, "File whose first line is that token; read at the start.")

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port; None: no commands by HTTP."""
        return None if self.listen is None else _listen(self.listen)


class LogSettings(Block):
    """The program's own log."""

    level: Annotated[str, LEVEL] = setting("INFO", "The least severe level that is logged.")
    format: Annotated[Literal["auto", "console", "json"], one_of("auto", "console", "json")] = setting(
        "auto", "`auto`: `console` on a terminal, else `json`."
    )


class ProjectSettings(Settings):
    """The project as a whole."""

    unavailable: ClassVar = {
        **of_flowerpower("worker", "scheduler", "tracker", "open_telemetry", "hooks_dir"),
        "job_queue": "FlowerPower's job queue is replaced by the daemon's ledger; try `fp-events migrate` or remove it",
        "pipelines": "a pipeline's settings belong in conf/pipelines/<name>.yml, not under `pipelines`",
    }

    name: Annotated[str, matching("[a-z0-9_-]{1,64}", "a name such as plant-1, of a-z, 0-9, '_' and '-'")] | None = (
        setting(None, "The project's name; part of topics and of the client id.", shown="the folder's name")
    )
    mqtt: MqttSettings = setting(MqttSettings(), "How to reach the broker.")
    ledger: LedgerSettings = setting(LedgerSettings(), "The durable record of messages and runs.")
    control: ControlSettings = setting(ControlSettings(), "Commands to the live daemon.")
    events: EventSettings = setting(EventSettings(), "Events about runs, published by MQTT.")
    health: HealthSettings = setting(HealthSettings(), "Probes for supervisors.")
    http: HttpSettings = setting(HttpSettings(), "Commands by HTTP, for whoever has the token.")
    log: LogSettings = setting(LogSettings(), "The program's own log.")
    adapter: AdapterSettings = setting(
        AdapterSettings(),
        "What adapters need: defaults for the `adapter` block of every pipeline, with the same keys.",
    )
    hooks: HookSettings = setting(HookSettings(), "Functions called at points of every run's life.")
    resources: dict[Annotated[str, NAME], Annotated[str, FUNCTION]] = setting(
        {}, "Input to the function that opens it, for the pipelines that have an input of that name.", shown="none"
    )
    run: RunDefaults = setting(
        RunDefaults(), "Defaults for the `run` block of every pipeline: its keys except `inputs` and `final_vars`."
    )
