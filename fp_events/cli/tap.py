"""`tap`: watch messages, events and results as they pass."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fp_events.domain.errors import UsageError

from .arguments import PipelineOption
from .invocation import Invocation
from .output import Format, FormatOption, note, safe, to_json
from .publish import UrlOption, broker_override

if TYPE_CHECKING:
    from fp_events.domain.connection import ConnectOptions
    from fp_events.domain.message import Message, Subscription


def tap(
    context: typer.Context,
    filters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILTER]...", help="MQTT topic filters; default: all that the daemon publishes."),
    ] = None,
    *,
    pipeline: PipelineOption = None,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", "-e", metavar="EVENT", help="Only events of this kind: failed, succeeded, … or all."),
    ] = None,
    results: Annotated[bool, typer.Option("--results", help="Only results.")] = False,
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="Only dead letters.")] = False,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many messages.")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Only the payloads, byte for byte, a line break after each.")
    ] = False,
    form: FormatOption = Format.TABLE,
    mqtt_url: UrlOption = None,
) -> None:
    """Print messages as they come, until Ctrl-C. With --json, an object per line."""
    import asyncio

    from fp_events.app.link import options_for

    from .tap_topics import topics

    if form not in {Format.TABLE, Format.JSON}:
        raise UsageError(f"a stream has no form '{form.value}'", mend="use --format table or json, or --raw")
    invocation: Invocation = context.obj
    config = invocation.config(broker_override(mqtt_url))
    if filters and (pipeline or event or results or dead_letters):
        raise UsageError("give filters, or say what by options: not both")
    wanted = filters or topics(
        config, pipeline=pipeline, events=event or (), results=results, dead_letters=dead_letters
    )
    options = options_for(config, [_subscription(number, each) for number, each in enumerate(wanted, 1)])
    show = _show_raw if raw else _show_json if form is Format.JSON else _show_line
    try:
        asyncio.run(_tap(options, wanted, show, count))
    except KeyboardInterrupt:
        return


def _subscription(number: int, topic_filter: str) -> Subscription:
    from fp_events.domain.message import Subscription
    from fp_events.domain.topics import parse_filter

    try:
        pattern = parse_filter(topic_filter)
    except ValueError as error:
        raise UsageError(str(error), mend="+ stands for one level, # for the rest") from error
    return Subscription(filter=pattern.filter, identifier=number, retain_handling=0)


async def _tap(
    options: ConnectOptions, wanted: Sequence[str], show: Callable[[Message], None], count: int | None
) -> None:
    from fp_events.app.link import connected

    left = count
    async with connected(options) as transport:
        note(f"listening to {', '.join(wanted)} on {options.address}")
        while left is None or left > 0:
            burst = await transport.receive()
            for delivery in burst[:left]:
                show(delivery.message)
            sys.stdout.flush()
            transport.acknowledge(burst)
            left = None if left is None else left - len(burst)


def _show_line(message: Message) -> None:
    at = message.received_at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    retained = " (retained)" if message.retain else ""
    print(f"{at}  {safe(message.topic)}{retained}  {safe(message.payload.decode('utf-8', 'backslashreplace'))}")


def _show_json(message: Message) -> None:
    properties = message.properties
    shown: dict[str, Any] = {
        "received_at": message.received_at.isoformat(),
        "topic": message.topic,
        "qos": message.qos,
        "retain": message.retain,
    }
    try:
        shown["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        shown["payload_base64"] = base64.b64encode(message.payload).decode()
    if properties.content_type:
        shown["content_type"] = properties.content_type
    if properties.user:
        shown["properties"] = [list(pair) for pair in properties.user]
    print(to_json(shown, indent=None))


def _show_raw(message: Message) -> None:
    sys.stdout.buffer.write(message.payload + b"\n")
    sys.stdout.buffer.flush()
