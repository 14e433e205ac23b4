"""`publish`: be a sensor."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fp_events.domain.errors import UsageError

from .arguments import read_source
from .invocation import Invocation
from .output import console, note
from .texts import plural

if TYPE_CHECKING:
    from rich.progress import Progress

    from fp_events.domain.connection import ConnectOptions
    from fp_events.domain.message import Properties, Publication

#: Messages under way at a time: enough to fill the broker's window, small enough for a smooth progress bar.
_BURST = 500

UrlOption = Annotated[
    str | None, typer.Option("--mqtt-url", metavar="URL", help="Another broker than the project's mqtt.url.")
]


def broker_override(url: str | None) -> dict[str, Any]:
    """`--mqtt-url` as a setting over the project's; None: no setting. Raises UsageError."""
    from fp_events.config.urls import check_mqtt_url

    if url is None:
        return {}
    try:
        check_mqtt_url(url)
    except ValueError as error:
        raise UsageError(str(error), where="--mqtt-url") from error
    return {"mqtt": {"url": url}}


def publish(
    context: typer.Context,
    topic: Annotated[str, typer.Argument(help="Where to; no wildcards.")],
    payload: Annotated[str, typer.Argument(metavar="[PAYLOAD|-|@FILE]", help="Default: stdin.")] = "-",
    *,
    qos: Annotated[int, typer.Option("--qos", min=0, max=2)] = 1,
    retain: Annotated[bool, typer.Option("--retain", help="The broker keeps it for later subscribers.")] = False,
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="KEY=VALUE", help="A user property. May be repeated.")
    ] = None,
    content_type: Annotated[str | None, typer.Option("--content-type", help="`application/json`, for one.")] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Every line is a message of its own.")] = False,
    mqtt_url: UrlOption = None,
) -> None:
    """Publish a message, or one per line, and wait until the broker has it."""
    import asyncio

    from fp_events.app.link import options_for
    from fp_events.domain.message import Publication
    from fp_events.domain.topics import validate_topic

    try:
        validate_topic(topic)
    except ValueError as error:
        raise UsageError(str(error), mend="name one topic") from error
    invocation: Invocation = context.obj
    options = options_for(invocation.config(broker_override(mqtt_url)))
    user = _properties(properties, content_type, options)
    whole = read_source(payload)
    payloads = [line for line in whole.splitlines() if line] if lines else [_one(whole, payload)]
    publications = [
        Publication(event_id=uuid.uuid4().hex, topic=topic, payload=each, qos=qos, retain=retain, properties=user)
        for each in payloads
    ]
    asyncio.run(_publish(options, publications))
    if lines:
        note(f"{plural(len(publications), 'message')} published")


def _one(whole: bytes, source: str) -> bytes:
    # `echo 21 | fp-events publish …` means 21, not 21 and a line break.
    return whole.removesuffix(b"\n") if source == "-" else whole


def _properties(pairs: Sequence[str] | None, content_type: str | None, options: ConnectOptions) -> Properties:
    from fp_events.domain.message import NO_PROPERTIES

    user = []
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--property '{pair}' is no KEY=VALUE", mend="write --property message_id=42")
        user.append((name, value))
    if (user or content_type) and options.protocol != "5":
        raise UsageError("MQTT 3.1.1 has no properties", mend='set mqtt.protocol to "5", or leave them out')
    return replace(NO_PROPERTIES, user=tuple(user), content_type=content_type)


async def _publish(options: ConnectOptions, publications: Sequence[Publication]) -> None:
    from fp_events.app.link import connected, send

    async with connected(options) as transport:
        with _progress(len(publications)) as progress:
            for burst in _bursts(publications):
                await send(transport, burst)
                progress.advance(progress.task_ids[0], len(burst))


def _bursts(publications: Sequence[Publication]) -> Iterator[list[Publication]]:
    source = iter(publications)
    while burst := list(islice(source, _BURST)):
        yield burst


def _progress(total: int) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    # A single message needs no bar, and a log no animation.
    hidden = total <= _BURST or not sys.stderr.isatty()
    progress = Progress(
        "publishing",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True),
        disable=hidden,
    )
    progress.add_task("publishing", total=total)
    return progress
