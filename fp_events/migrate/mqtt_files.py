"""Triggers, out of flowerpower-mqtt's ``mqtt_config.yml`` and of the built-in MQTT plugin's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .blocks import New, Old
from .broker import broker_block
from .layouts import OldProject, identifier
from .modules import Module
from .report import Kind, Migration

#: Input that flowerpower-mqtt gave -> path.
_PLUGIN: Final = {
    "mqtt_message": "payload",
    "mqtt_topic": "topic",
    "mqtt_qos": "message.qos",
    "execution_timestamp": "message.received_at",
}
#: Input that the built-in plugin gave -> path.
_BUILT_IN: Final = {"payload": "message.payload", "topic": "topic"}
_FORMATS: Final = {"json": "json", "msgpack": "msgpack"}
_ONE_AT_A_TIME = (
    "`sync` ran one message at a time, and so does `concurrency: 1`;\nleave it out to run up to 64 beside each other"
)
_MOMENT = "the time the message came, a datetime; it was ISO text"
#: A hook of messages, for functions that take the time as text.
_TIMESTAMP = '''\
"""The time of a message as text, as flowerpower-mqtt gave it."""

from typing import Any


def timestamp(message: Any) -> dict[str, str]:
    """ISO 8601, in UTC."""
    return {"execution_timestamp": message.received_at.isoformat()}
'''


def plugin_file(
    found: OldProject, project: New, pipelines: Mapping[str, New], modules: Mapping[str, Module], migration: Migration
) -> None:
    """Translate ``mqtt_config.yml``."""
    if found.mqtt_plugin is None:
        return
    old = Old(migration, found.mqtt_plugin)
    broker = old.block("mqtt")
    if broker.left:
        broker_block(broker, project, migration)
    queue = old.block("job_queue")
    queued = bool(queue.take("enabled"))
    if queued:
        note = "every message is in the ledger before it runs; nothing else is needed to run it in the background"
        queue.tell(Kind.DROPPED, "enabled", True, note=note)
    tries = queue.take("max_retries")
    queue.left.clear()
    level = old.take("log_level")
    if level not in (None, "INFO"):
        project.put(old, "log_level", str(level).upper(), ("log", "level"))
    folder = old.take("base_dir")
    if folder not in (None, ".", "./", str(found.root)):
        old.tell(Kind.DROPPED, "base_dir", folder, note="commands find the project by the folder they are called in")
    subscriptions = old.take("subscriptions") or []
    for index, item in enumerate(subscriptions if isinstance(subscriptions, list) else []):
        one = Old(migration, found.mqtt_plugin, ("subscriptions", index), item)
        _subscription(one, pipelines, modules, queued=queued, tries=tries)
    old.end()


def _subscription(
    old: Old, pipelines: Mapping[str, New], modules: Mapping[str, Module], *, queued: bool, tries: Any
) -> None:
    given = str(old.take("pipeline") or "")
    name = identifier(given)
    topic = old.take("topic")
    new = pipelines.get(name)
    if new is None or not topic:
        old.tell(Kind.TODO, "pipeline", given, note=f"there is no pipeline of that name for topic '{topic}'")
        old.left.clear()
        return
    trigger: dict[str, Any] = {"topic": str(topic), "qos": old.take("qos") or 0}
    _format(old, trigger)
    fill = {taken: path for taken, path in _PLUGIN.items() if modules[name].takes(taken)}
    trigger["map"] = fill
    if "execution_timestamp" in fill:
        _timestamp(old, new, name, modules[name], fill)
    if not fill:
        del trigger["map"]
    mode = old.take("execution_mode") or "sync"
    one_at_a_time = not queued or mode == "sync"
    if one_at_a_time:
        trigger["concurrency"] = 1
    if modules[name].takes("execution_mode"):
        new.set(("run", "inputs", "execution_mode"), "sync" if one_at_a_time else "async")
    triggers = new.get(("triggers",)) or []
    path = f"{new.file}: triggers[{len(triggers)}]"
    new.set(("triggers",), [*triggers, trigger])
    old.tell(Kind.CHANGED, "topic", topic, f"{path}.topic")
    if one_at_a_time:
        old.tell(Kind.MEANING, "execution_mode", mode, f"{path}.concurrency: 1", _ONE_AT_A_TIME.replace("\n", " "))
    else:
        note = "runs never hold up the connection, whatever the QoS"
        old.tell(Kind.DROPPED, "execution_mode", mode, note=note)
    if tries and not one_at_a_time and new.get(("run", "max_retries")) is None:
        new.set(("run", "max_retries"), tries)
    old.end()


def _timestamp(old: Old, new: New, name: str, module: Module, fill: dict[str, str]) -> None:
    """Give the time as a datetime by the map, or as text by a hook, as the function takes it."""
    if module.hint("execution_timestamp") != "str":
        old.tell(Kind.MEANING, "execution_timestamp", "", "map.execution_timestamp: message.received_at", _MOMENT)
        return
    del fill["execution_timestamp"]
    old.migration.texts[f"hooks/{name}_message.py"] = _TIMESTAMP
    new.set(("hooks", "message"), f"hooks.{name}_message:timestamp")
    note = "the time the message came, in UTC; it was when the run began, by the machine's clock"
    old.tell(Kind.MEANING, "execution_timestamp", "", f"hooks.message: hooks.{name}_message:timestamp", note)


def _format(old: Old, trigger: dict[str, Any]) -> None:
    given = old.take("deserialization_format")
    if given in _FORMATS:
        trigger["format"] = _FORMATS[given]
    elif given not in (None, "auto"):
        trigger["format"] = "bytes"
        unpickled = "nothing that comes from a broker is unpickled; send JSON or MessagePack"
        why = unpickled if given == "pickle" else "decode it in the first function"
        old.tell(Kind.TODO, "deserialization_format", given, "format: bytes", why)


def built_in(
    found: OldProject, project: New, pipelines: Mapping[str, New], modules: Mapping[str, Module], migration: Migration
) -> None:
    """Translate the built-in plugin's connection; which pipeline it ran was said on the command line."""
    topic, where = None, ""
    if found.mqtt is not None:
        old = Old(migration, found.mqtt)
        block = old.block("mqtt") if isinstance(found.mqtt.data.get("mqtt"), Mapping) else old
        topic, where = block.left.get("topic"), block.where("topic")
        broker_block(block, project, migration)
    elif found.project is not None and isinstance(found.project.data.get("mqtt"), Mapping):
        topic, where = found.project.data["mqtt"].get("topic"), found.project.where(("mqtt", "topic"))
    if topic:
        # The plugin's QoS is 2, which wants our own client, and that one does not speak WebSocket.
        qos = 1 if str(project.get(("mqtt", "url"))).startswith("ws") else 2
        _topic(str(topic), where, qos, pipelines, modules, migration)


def _topic(
    topic: str, where: str, qos: int, pipelines: Mapping[str, New], modules: Mapping[str, Module], migration: Migration
) -> None:
    """Give the topic to the pipeline that can only be meant: the one that takes `payload`, or the only one."""
    takers = [name for name in pipelines if modules[name].takes("payload")]
    chosen = takers if takers else list(pipelines)
    if len(chosen) != 1:
        note = "which pipeline ran on it was said on the command line: write it under `triggers` of that one"
        migration.tell(Kind.TODO, where, "mqtt.topic", topic, note=note)
        return
    new, module = pipelines[chosen[0]], modules[chosen[0]]
    fill = {taken: path for taken, path in _BUILT_IN.items() if module.takes(taken)}
    trigger: dict[str, Any] = {"topic": topic, "qos": qos, **({"map": fill} if fill else {})}
    if "payload" in fill:
        trigger["format"] = "bytes"
    new.set(("triggers",), [trigger])
    note = "the payload comes as bytes, as it did; without `format` and `map` it would be decoded"
    migration.tell(Kind.CHANGED, where, "mqtt.topic", topic, f"{new.file}: triggers[0].topic", note)
