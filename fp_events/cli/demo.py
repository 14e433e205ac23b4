"""`demo`: a plant that is not there, the sample project, a broker and a daemon, all in one command."""

from __future__ import annotations

import shutil
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import note
from .texts import plural

if TYPE_CHECKING:
    from fp_events.domain.ports import Transport

    from .demo_figures import Figures
    from .plant import Plant, Reading

_FOLDER = ".fp-events-demo"
#: Seconds that a visitor watches, and for results that are still to come.
_SECONDS, _AFTER = 45.0, 3.0
#: Seconds between two bursts of readings, and between two pictures.
_STEP = 0.1
_BURST = 200


def demo(
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long.")] = _SECONDS,
    rate: Annotated[float, typer.Option("--rate", min=1, max=5000, help="Readings per second.")] = 20.0,
    folder: Annotated[Path, typer.Option("--folder", help="Where the sample project is put, and stays.")] = Path(
        _FOLDER
    ),
    no_tty: Annotated[bool, typer.Option("--no-tty", help="Lines instead of a live table.")] = False,
) -> None:
    """Watch a plant: sample pipelines on a broker and a daemon of their own, with simulated machines."""
    import asyncio

    from .demo_daemon import serving
    from .sample import copy_sample

    folder = folder.resolve()
    copy_sample(folder)
    live = sys.stdout.isatty() and not no_tty
    figures: list[Figures] = []
    note(f"the sample project is in {folder}; starting a broker and `fp-events serve` there")
    with serving(folder) as child:
        try:
            asyncio.run(_show(folder, child, figures, seconds=seconds, rate=rate, live=live))
        except KeyboardInterrupt:
            note("stopping")
    _summary(folder, figures)


async def _show(folder: Path, child: Any, seen: list[Figures], *, seconds: float, rate: float, live: bool) -> None:
    import anyio

    from fp_events.app.link import base_topic, connected, options_for
    from fp_events.domain.message import Subscription

    from .demo_daemon import ready, sample_config
    from .demo_figures import Figures
    from .plant import Plant

    await ready(folder, child)
    loaded = sample_config(folder)
    base = base_topic(loaded)
    filters = ("alerts/#", "health/#", "energy/#", f"{base}/events/#")
    options = options_for(loaded, [Subscription(filter=each, qos=0, identifier=1) for each in filters])
    figures = Figures(base)
    seen.append(figures)
    async with connected(options) as transport, anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, transport, figures)
        plant = Plant()
        await _send(transport, figures, list(plant.history(datetime.now(UTC))), live=False)
        with anyio.move_on_after(_AFTER):
            # Live readings are timed: they shall not stand in the history's queue.
            await figures.settled()
        await _play(transport, figures, plant, seconds=seconds, rate=rate, live=live)
        with anyio.move_on_after(_AFTER):
            await figures.settled()
        tasks.cancel_scope.cancel()


async def _play(
    transport: Transport, figures: Figures, plant: Plant, *, seconds: float, rate: float, live: bool
) -> None:
    import anyio

    from .demo_screen import drawing

    start = monotonic()
    sent = 0
    with drawing(figures, start, seconds, live=live) as draw:
        while (passed := monotonic() - start) < seconds:
            due = min(int(passed * rate) - sent, _BURST)
            if due > 0:
                await _send(transport, figures, [plant.live(datetime.now(UTC)) for _ in range(due)], live=True)
                sent += due
            draw()
            await anyio.sleep(_STEP)


async def _send(transport: Transport, figures: Figures, readings: list[Reading], *, live: bool) -> None:
    from fp_events.domain.message import Publication

    for reading in readings:
        figures.send(reading, live=live)
    publications = [
        Publication(event_id=uuid.uuid4().hex, topic=reading.topic, payload=reading.payload, qos=1)
        for reading in readings
    ]
    await transport.publish(publications)


async def _watch(transport: Transport, figures: Figures) -> None:
    while True:
        burst = await transport.receive()
        for delivery in burst:
            figures.see(delivery.message)
        transport.acknowledge(burst)


def _summary(folder: Path, seen: list[Figures]) -> None:
    from .demo_screen import line

    if not seen:
        raise typer.Exit(1)
    figures = seen[0]
    print(f"\nin all {line(figures, 0).strip().partition('  ')[2]}")
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print(f"\nThe project, with its runs, is still in {shown}. Try there:\n\n  cd {shown}")
    if shutil.which("fp-events") is None:
        activate = Path(sys.prefix, "bin", "activate")
        print(f"  {f'. {activate}'.ljust(50)} # so that the shell finds fp-events")
    for command, what in (
        ("fp-events serve", "start the daemon again; then, in a second terminal:"),
        ("fp-events status", "what it does now"),
        ("fp-events runs list", "what ran; `runs show RUN` explains one"),
        ("fp-events state list -p temperature_alerts", "what it remembers of each line"),
        ("fp-events tap 'alerts/#'", "watch alerts"),
        ("fp-events publish plant/oven/temperature nonsense", "then: fp-events dlq list"),
        ("fp-events graph show temperature_alerts", "the pipeline as a drawing"),
    ):
        print(f"  {command.ljust(50)} # {what}")
    if not figures.alert_count or figures.failed:
        note(f"error: {plural(figures.alert_count, 'alert')}, {figures.failed} runs failed")
        raise typer.Exit(1)
