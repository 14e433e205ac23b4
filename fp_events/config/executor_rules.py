"""What belongs to which executor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fp_events.domain.errors import Problem

from .layers import Layer, origin
from .run_keys import ExecutorSettings

#: Key -> the types that know it.
_OF: Mapping[str, tuple[str, ...]] = {
    "max_workers": ("threadpool", "processpool", "ray", "dask", "rq"),
    "num_cpus": ("ray",),
    "address": ("ray", "dask"),
    "project": ("ray", "dask"),
    "options": ("ray", "dask"),
}
#: Options of tasks that are this program's own business: a run is tried again by `max_retries`.
_OURS: Mapping[str, frozenset[str]] = {
    "ray": frozenset({"name", "max_calls", "max_retries", "num_returns", "retry_exceptions"}),
    "dask": frozenset({"key", "pure", "retries"}),
}


def executor_rules(executor: ExecutorSettings, layers: Sequence[Layer]) -> Iterator[Problem]:
    """Problems and warnings of one pipeline's `run.executor`, valid key by key."""
    for name, types in _OF.items():
        if getattr(executor, name) in (None, "", {}) or executor.type in types:
            continue
        where = origin(layers, ("run", "executor", name))
        known = " and ".join(filter(None, (", ".join(types[:-1]), types[-1])))
        what = f"run.executor.{name} is unused: it belongs to {known}"
        yield Problem(what=what, where=where, mend="give the executor such a type, or remove it", warning=True)
    if executor.type in _OURS:
        yield from _cluster_rules(executor, layers)


def _cluster_rules(executor: ExecutorSettings, layers: Sequence[Layer]) -> Iterator[Problem]:
    if executor.type == "ray" and executor.address.startswith("ray://"):
        yield Problem(
            what="run.executor.address: Ray's client protocol cannot carry runs",
            where=origin(layers, ("run", "executor", "address")),
            mend="join this machine to the cluster with `ray start --address=HEAD:6379 --num-cpus=0` and say auto",
        )
    if executor.num_cpus is not None and executor.address:
        yield Problem(
            what="run.executor.num_cpus is unused: an existing cluster has its own processors",
            where=origin(layers, ("run", "executor", "num_cpus")),
            mend="use max_workers to limit the tasks at a time",
            warning=True,
        )
    if executor.project and not executor.address:
        yield Problem(
            what="run.executor.project is unused: workers on this machine find the project where the daemon does",
            where=origin(layers, ("run", "executor", "project")),
            mend="remove it, or give the `address` of a cluster",
            warning=True,
        )
    for name in sorted(_OURS[str(executor.type)] & executor.options.keys()):
        yield Problem(
            what=f"run.executor.options: `{name}` is not yours to give",
            where=origin(layers, ("run", "executor", "options", name)),
            mend="remove it; `run.max_retries` says how often a run is tried again",
        )
