"""The keys of ``conf/pipelines/<name>.yml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fp_events.domain import mapping, templates, topics

from .adapter_keys import AdapterSettings
from .hook_keys import FUNCTION, HookSettings
from .keys import Block, Settings, not_available, of_flowerpower, setting
from .kinds import ANYTHING, FLAG, checked, duration, one_of, whole
from .material_keys import IoSettings
from .run_keys import NAME, RunSettings
from .schedule_keys import ScheduleSettings

_PATH = checked("path", mapping.parse_path)
_FORMATS = ("json", "jsonlines", "text", "bytes", "msgpack", "cbor")
_Format = Literal["json", "jsonlines", "text", "bytes", "msgpack", "cbor"]
_SHORTEST = 0.001


class TriggerSettings(Block):
    """A topic filter and what to do with the messages that match it."""

    unavailable = not_available("filter")

    topic: Annotated[str, checked("topic filter", topics.parse_filter)] = setting(
        ..., "Topic filter; `{name}` captures one level, `{name#}` the rest."
    )
    qos: Annotated[int, whole(0, 2)] = setting(
        1, "QoS of the subscription. 2, where our own client is used: accepted exactly once, at twice the packets."
    )
    format: Annotated[_Format, one_of(*_FORMATS)] | None = setting(
        None, "Format of the payload.", shown="by content type, else by sight"
    )
    map: dict[Annotated[str, NAME], Annotated[str, _PATH]] | None = setting(
        None,
        'Input to path: `payload.value`, `topic.line`, `message.received_at`, `payload.unit ?? "C"`.',
        shown="`payload`, captures and `message` by name",
    )
    spread: Annotated[bool, FLAG] = setting(False, "Whether the payload's fields become inputs by name.")
    retained: Annotated[Literal["skip", "process"], one_of("skip", "process")] = setting(
        "skip", "What to do with retained messages that are sent on subscribing."
    )
    key: Annotated[str, checked("template", templates.parse)] | None = setting(
        None, "Template; runs of the same key go one at a time, in order.", shown="no order"
    )
    concurrency: Annotated[int, whole(1)] = setting(64, "Runs of this trigger under way at a time.")
    identity: Annotated[str, _PATH] | None = setting(
        None, "Path to what tells two messages apart; duplicates make no run.", shown="the `message_id` user property"
    )
    expires_after: Annotated[float, duration(_SHORTEST)] | None = setting(
        None, "Messages older than this end EXPIRED instead of starting.", shown="never"
    )
    acknowledge: Annotated[
        Literal["when_saved", "when_received", "when_executed"],
        one_of("when_saved", "when_received", "when_executed"),
    ] = setting(
        "when_saved",
        "When the broker is told that we have a message: once it is in the ledger, at once (at most once, no ledger),"
        " or once its results are confirmed (no ledger, a connection of its own).",
    )


class OutputSettings(Block):
    """A node whose value is published; a bare word is the node."""

    shorthand = "node"

    node: Annotated[str, NAME] = setting(..., "The node; None publishes nothing.")
    topic: Annotated[str, checked("topic template", templates.parse_topic)] | None = setting(
        None,
        "Template over captures, `payload` and `value`.",
        shown="`<base_topic>/results/<pipeline>/<node>`",
    )
    each: Annotated[bool, FLAG] = setting(False, "Whether each item of a list is a message of its own.")
    qos: Annotated[int, whole(0, 2)] = setting(1, "QoS of the publication.")
    retain: Annotated[bool, FLAG] = setting(False, "Whether the broker keeps the message for later subscribers.")
    expires_after: Annotated[float, duration(1)] | None = setting(
        None, "How long the broker keeps the message for a subscriber that is away (MQTT 5).", shown="for ever"
    )
    nan: Annotated[Literal["null", "error"], one_of("null", "error")] = setting(
        "null", "NaN and the infinities in JSON: `null`, or the run fails."
    )


class PipelineSettings(Settings):
    """One pipeline."""

    unavailable = of_flowerpower("tracker", "func")

    enabled: Annotated[bool, FLAG] = setting(True, "Whether the daemon runs it.")
    triggers: tuple[TriggerSettings, ...] = setting((), "Which messages run it.", shown="none")
    outputs: tuple[OutputSettings, ...] = setting((), "What is published.", shown="none")
    state: dict[Annotated[str, NAME], Annotated[str, NAME]] = setting(
        {}, "Node to input: the node's last value for the same key is that input of the next run.", shown="none"
    )
    run: RunSettings = setting(RunSettings(), "How it runs.")
    params: dict[Annotated[str, NAME], Annotated[Any, ANYTHING]] = setting(
        {}, "Values injected by argument name, nested ones too.", shown="none"
    )
    io: IoSettings = setting(IoSettings(), "What loads inputs and saves values, beside the module's decorators.")
    hooks: HookSettings = setting(HookSettings(), "Functions called at points of a run's life.")
    resources: dict[Annotated[str, NAME], Annotated[str, FUNCTION]] = setting(
        {}, "Input to the function that opens it, once per worker.", shown="those of `project.yml`"
    )
    adapter: AdapterSettings = setting(
        AdapterSettings(), "What adapters need; over the block of the same name in `project.yml`."
    )
    schedule: ScheduleSettings | None = setting(None, "When it runs by the clock.", shown="none")
    schedules: tuple[ScheduleSettings, ...] = setting((), "The same, for several.", shown="none")
