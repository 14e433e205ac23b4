"""Runs on a Dask cluster: one that is there, or one of our own on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._cluster import ClusterExecutor


class DaskExecutor(ClusterExecutor):
    """Runs attempts as tasks of Dask; see `ClusterExecutor`.

    Without an `address` a scheduler and `max_workers` processes are started on the loopback interface, by default one
    for each processor, and end with this executor. A run on them is killed at its timeout, or when it is cancelled.
    On workers that others use too nothing stops a task: the run is abandoned, and a `Released` follows its return.
    """

    def __init__(
        self,
        bootstrap: str,
        argument: bytes,
        *,
        address: str = "",
        max_workers: int | None = None,
        options: Mapping[str, Any] | None = None,
        path: Sequence[str] = (),
        on_link: Callable[[str], None] | None = None,
    ) -> None:
        """`bootstrap` and `argument` are as for a processpool, `path` is where workers find modules beside their own.

        `options` are those of `Client.submit`: `resources`, `workers`, `priority`; `max_workers` limits tasks at a
        time.
        """
        workers = max_workers or os.cpu_count() or 1
        super().__init__(
            "dask",
            {"address": address, "workers": workers, "options": dict(options or {})},
            (bootstrap, argument, list(path)),
            max_workers=max_workers,
            expected=None if address else workers,
            timed_alone=True,
            on_link=on_link,
        )
