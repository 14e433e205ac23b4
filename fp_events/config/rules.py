"""What one key demands of another, and what deserves a warning."""

from __future__ import annotations

import builtins
import importlib
import re
from collections.abc import Iterator, Sequence

from fp_events.domain.errors import Problem
from fp_events.domain.pipeline import LONGEST_UNSAVED

from .adapter_rules import adapter_rules
from .executor_rules import executor_rules
from .layers import Layer, Path, deciding, origin
from .pipeline_keys import PipelineSettings
from .project_keys import ControlSettings, HttpSettings, MqttSettings, ProjectSettings
from .schedules import schedule_rules
from .urls import parse_broker_url
from .values import Substituted

_PASSWORD: Path = ("mqtt", "password")
_PASSWORD_FILE: Path = ("mqtt", "password_file")


def without_outranked_password(layers: Sequence[Layer]) -> tuple[list[Layer], list[Problem]]:
    """The layers, where a password that a higher one replaces by a file, or the reverse, is gone.

    A password and a file in the same layer are a problem: nothing says which is meant.
    """
    kept = list(layers)
    for index, layer in enumerate(layers):
        given = [path for path in (_PASSWORD, _PASSWORD_FILE) if _gives(layer, path)]
        if len(given) == 2:
            what = "mqtt.password and mqtt.password_file are both given"
            return kept, [Problem(what=what, where=layer.origin(_PASSWORD_FILE), mend="keep one of them")]
        if given:
            other = _PASSWORD if given[0] == _PASSWORD_FILE else _PASSWORD_FILE
            kept[:index] = [_without(lower, other) for lower in kept[:index]]
    return kept, []


def _gives(layer: Layer, path: Path) -> bool:
    block = layer.data.get("mqtt")
    return isinstance(block, dict) and block.get(path[1]) is not None


def _without(layer: Layer, path: Path) -> Layer:
    if not _gives(layer, path):
        return layer
    block = {name: value for name, value in layer.data["mqtt"].items() if name != path[1]}
    return layer.having({**layer.data, "mqtt": block})


def project_rules(settings: ProjectSettings, layers: Sequence[Layer], pipelines: Sequence[str]) -> Iterator[Problem]:
    """Problems and warnings of project settings that are valid key by key."""
    yield from _mqtt_rules(settings.mqtt, layers)
    if settings.ledger.synchronous == "normal":
        yield Problem(
            what="ledger.synchronous is `normal`: a power cut may lose messages that were acknowledged",
            where=origin(layers, ("ledger", "synchronous")),
            mend="use `full` where none may be lost",
            warning=True,
        )
    if settings.ledger.url == "memory:":
        yield Problem(
            what="ledger.url is `memory:`: whatever is unfinished is lost when the daemon ends",
            where=origin(layers, ("ledger", "url")),
            mend="use sqlite:///<file> where none may be lost",
            warning=True,
        )
    yield from _secret_rules("control", "hmac_key", settings.control, layers)
    yield from _secret_rules("http", "token", settings.http, layers)
    if settings.http.listen is not None and settings.http.token is None and settings.http.token_file is None:
        yield Problem(
            what="http.listen is given without a token: everybody could command",
            where=origin(layers, ("http", "listen")),
            mend="give http.token_file, or FP_EVENTS_HTTP__TOKEN",
        )
    for name in settings.control.allow:
        if name not in pipelines:
            known = ", ".join(pipelines) or "none"
            where = origin(layers, ("control", "allow", name))
            yield Problem(what=f"control.allow: there is no pipeline '{name}'", where=where, mend=f"there are: {known}")


def _secret_rules(
    block: str, name: str, settings: ControlSettings | HttpSettings, layers: Sequence[Layer]
) -> Iterator[Problem]:
    """A secret is given once, and not in plain text."""
    given = getattr(settings, name)
    if given and getattr(settings, f"{name}_file"):
        where = origin(layers, (block, f"{name}_file"))
        yield Problem(what=f"{block}.{name} and {block}.{name}_file are both given", where=where, mend="keep one")
    path: Path = (block, name)
    layer = deciding(layers, path)
    if given and layer and layer.is_file and not isinstance(layer.data[block][name], Substituted):
        yield Problem(
            what=f"{block}.{name} stands there in plain text",
            where=layer.origin(path),
            mend=f"use ${{VAR}}, {name}_file or FP_EVENTS_{block.upper()}__{name.upper()}",
            warning=True,
        )


def _mqtt_rules(mqtt: MqttSettings, layers: Sequence[Layer]) -> Iterator[Problem]:
    url = None if mqtt.url == "embedded" else parse_broker_url(mqtt.url)
    if mqtt.client == "mqtt5" and (mqtt.protocol != "5" or (url and url.transport != "tcp")):
        other = f"MQTT {mqtt.protocol}" if mqtt.protocol != "5" else "WebSocket"
        where = origin(layers, ("mqtt", "client"))
        mend = "leave mqtt.client out, or use aiomqtt"
        yield Problem(what=f"mqtt.client: mqtt5 speaks MQTT 5 over TCP and TLS, not {other}", where=where, mend=mend)
    if mqtt.tls.key_file and not mqtt.tls.cert_file:
        where = origin(layers, ("mqtt", "tls", "key_file"))
        yield Problem(what="mqtt.tls.key_file is given without cert_file", where=where, mend="give both")
    if mqtt.tls.model_fields_set and not (url and url.tls):
        where = origin(layers, ("mqtt", "tls"))
        mend = "use mqtts:// or wss:// for an encrypted connection"
        yield Problem(what="mqtt.tls is unused: the URL asks for no TLS", where=where, mend=mend, warning=True)
    if mqtt.session_expiry == 0:
        yield Problem(
            what="mqtt.session_expiry is 0: the broker keeps nothing for us while we are away",
            where=origin(layers, ("mqtt", "session_expiry")),
            mend="give it a duration such as 7d",
            warning=True,
        )
    for path, literal in ((_PASSWORD, mqtt.password), (("mqtt", "url"), url.password if url else None)):
        layer = deciding(layers, path)
        if literal and layer and layer.is_file and not isinstance(layer.data["mqtt"][path[1]], Substituted):
            yield Problem(
                what=f"{'.'.join(map(str, path))} holds a password in plain text",
                where=layer.origin(path),
                mend="use ${VAR}, password_file or FP_EVENTS_MQTT__PASSWORD",
                warning=True,
            )


def pipeline_rules(settings: PipelineSettings, layers: Sequence[Layer], source: str) -> Iterator[Problem]:
    """Problems and warnings of one pipeline's settings; `source` is its module's text."""
    yield from schedule_rules(settings, layers)
    yield from adapter_rules(settings, layers)
    yield from executor_rules(settings.run.executor, layers)
    yield from _acknowledge_rules(settings, layers)
    for index, name in enumerate(settings.run.retry_exceptions):
        where = origin(layers, ("run", "retry_exceptions", index))
        yield from _exception_rules(name, where, source)


def _acknowledge_rules(settings: PipelineSettings, layers: Sequence[Layer]) -> Iterator[Problem]:
    """What needs the ledger cannot be had without it."""
    for index, trigger in enumerate(settings.triggers):
        word = trigger.acknowledge
        if word == "when_saved":
            continue
        where = origin(layers, ("triggers", index, "acknowledge"))
        mend = "use when_saved"
        if settings.state:
            what = f"acknowledge: {word} keeps nothing in the ledger, and the pipeline has state, which lives there"
            yield Problem(what=what, where=where, mend=mend)
        if trigger.identity is not None:
            what = f"acknowledge: {word} keeps nothing in the ledger, and `identity` is remembered there"
            yield Problem(what=what, where=where, mend=f"{mend}, or leave `identity` out")
        if word == "when_executed" and trigger.qos == 0:
            what = "acknowledge: when_executed leaves the message with the broker, which keeps none of QoS 0"
            yield Problem(what=what, where=where, mend="use qos 1")
        deadline = settings.run.deadline
        if word == "when_executed" and deadline is not None and deadline > LONGEST_UNSAVED:
            what = "acknowledge: when_executed holds up all later messages until a run has ended, and run.deadline is"
            what += f" {deadline:g} s"
            yield Problem(what=what, where=where, mend=f"give run.deadline at most {LONGEST_UNSAVED:g} s")


def _exception_rules(name: str, where: str, source: str) -> Iterator[Problem]:
    if "." in name:
        try:
            exception_name(name)
        except ValueError as error:
            yield Problem(what=f"run.retry_exceptions: {error}", where=where)
    elif not _is_exception(getattr(builtins, name, None)) and not re.search(rf"\b{name}\b", source):
        what = f"run.retry_exceptions: '{name}' is neither built in nor named in the pipeline's module"
        mend = "it is matched by class name alone; write it with its module if that is not meant"
        yield Problem(what=what, where=where, mend=mend, warning=True)


def exception_name(name: str) -> str:
    """The name that attempts report for the exception `name`: an alias is resolved, a bare name stays.

    Raises ValueError with one sentence where a dotted name cannot be imported or is no exception.
    """
    module, _, attribute = name.rpartition(".")
    if not module:
        return name
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:
        raise ValueError(
            f"'{name}' cannot be imported: {type(error).__name__}: {error}; install it or correct the name"
        ) from error
    if not _is_exception(found):
        raise ValueError(f"'{name}' is not an exception in {module}")
    assert found is not None
    return found.__qualname__ if found.__module__ == "builtins" else f"{found.__module__}.{found.__qualname__}"


def _is_exception(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseException)
