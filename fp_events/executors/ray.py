"""Runs on a Ray cluster: one that is there, or one of our own on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._cluster import ClusterExecutor


class RayExecutor(ClusterExecutor):
    """Runs attempts as tasks of Ray; see `ClusterExecutor`.

    Without an `address` a cluster of `num_cpus` is started on the loopback interface, and ends with this executor.
    A run is killed at its timeout, or when it is cancelled, with the process that runs it.
    """

    def __init__(
        self,
        bootstrap: str,
        argument: bytes,
        *,
        address: str = "",
        num_cpus: int | None = None,
        max_workers: int | None = None,
        options: Mapping[str, Any] | None = None,
        path: Sequence[str] = (),
        on_link: Callable[[str], None] | None = None,
    ) -> None:
        """`bootstrap` and `argument` are as for a processpool, `path` is where workers find modules beside their own.

        `options` are those of Ray's tasks: `num_gpus`, `resources`, `memory`; `max_workers` limits tasks at a time.
        """
        cpus = num_cpus or max_workers or os.cpu_count() or 1
        super().__init__(
            "ray",
            {"address": address, "num_cpus": cpus, "options": dict(options or {})},
            (bootstrap, argument, list(path)),
            max_workers=max_workers,
            expected=None if address else cpus,
            timed_alone=False,
            on_link=on_link,
        )
