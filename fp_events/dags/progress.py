"""Progress for whoever waits: a bar in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .events import Progress, TaskEvent


@contextmanager
def bar(progress: bool | Progress, dag: str, total: int) -> Iterator[list[Progress]]:
    """The observers that `progress` asks for; True: a bar on standard error, which stays when it is full."""
    if callable(progress):
        yield [progress]
        return
    if not progress:
        yield []
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as shown:
        row = shown.add_task(dag, total=total)

        def advance(event: TaskEvent) -> None:
            if event.ended:
                shown.update(row, completed=event.done, description=f"{dag}: {event.task} {event.kind}")

        yield [advance]
