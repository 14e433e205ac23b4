"""The stores of nodes' values that a process uses, and the codecs that they use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fp_events import codecs
from fp_events.cache import CACHES, Kept, clear, survey
from fp_events.domain.caching import CacheSpec, NodeStore
from fp_events.domain.errors import FpEventsError, PipelineNotFound, StorageError, UsageError
from fp_events.filesystems import without_credentials

from .adapting import hide_password

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.catalogue import StoreOf


class ExactCodec:
    """The product's codecs, and what of a class counts."""

    def encode(self, value: Any, classes: Mapping[str, type]) -> bytes:
        """See `codecs.encode_exact`."""
        return codecs.encode_exact(value, classes)

    def decode(self, data: bytes, classes: Mapping[str, type]) -> Any:
        """See `codecs.decode_exact`."""
        return codecs.decode_exact(data, classes)

    def digest(self, value: Any) -> str:
        """See `codecs.digest`."""
        from fp_events.plans.caching import identity_of

        return codecs.digest(value, identity_of)


def store_of(config: Config) -> StoreOf:
    """Where the project's pipelines keep the values of their nodes."""

    def store(pipeline: str, spec: CacheSpec) -> NodeStore:
        hide_password(spec.url)
        return CACHES.store(pipeline, location(config, spec), spec.max_bytes, ExactCodec())

    return store


def location(config: Config, spec: CacheSpec) -> str:
    """The store's fsspec URL, or its absolute folder."""
    return spec.url if "://" in spec.url or "::" in spec.url else str(config.state_path(spec.url))


def kept(config: Config, pipeline: str | None = None, node: str | None = None) -> list[dict[str, Any]]:
    """The kept values by pipeline and node: how many, their bytes, when the oldest and the newest were stored.

    Raises PipelineNotFound where neither the project nor a store knows `pipeline`, and StorageError.
    """
    found: list[dict[str, Any]] = []
    for url in _locations(config, pipeline):
        with _told(url):
            found += [{**_plain(each), "store": without_credentials(url)} for each in survey(url, pipeline, node)]
    if pipeline is not None and pipeline not in config.pipelines and not found:
        raise PipelineNotFound(pipeline, sorted(config.pipelines))
    return found


def forget(
    config: Config, pipeline: str | None = None, node: str | None = None, older_than: float | None = None
) -> dict[str, int]:
    """Delete kept values, those stored more than `older_than` seconds ago; how many, and their bytes.

    Raises PipelineNotFound as `kept` does, UsageError for a node that neither knows, and StorageError.
    """
    if node is not None:
        _must_keep(config, pipeline, node)
    elif pipeline is not None and pipeline not in config.pipelines:
        kept(config, pipeline)
    values = size = 0
    for url in _locations(config, pipeline):
        with _told(url):
            deleted = clear(url, pipeline, node, older_than=older_than)
        values += deleted[0]
        size += deleted[1]
    return {"values": values, "bytes": size}


def _must_keep(config: Config, pipeline: str | None, node: str) -> None:
    there = sorted({each["node"] for each in kept(config, pipeline)})
    if node not in there and not _is_computed(config, pipeline, node):
        of = "" if pipeline is None else f" of pipeline '{pipeline}'"
        mend = f"there are {', '.join(there)}" if there else "nothing is kept"
        raise UsageError(f"no values of a node '{node}'{of} are in the cache", mend=mend)


def _is_computed(config: Config, pipeline: str | None, node: str) -> bool:
    """Whether a pipeline has such a function, though nothing of it is kept now."""
    from fp_events.plans.catalogue import Catalogue

    plans = Catalogue(config.local_path("."), config.source)
    for each in config.pipelines.values():
        if pipeline in {None, each.name}:
            try:
                if node in plans.graph(each).computed():
                    return True
            except FpEventsError:
                continue
    return False


def _locations(config: Config, pipeline: str | None) -> list[str]:
    """The stores of one pipeline, or of all: those that the project no longer has too."""
    own = config.pipelines.get(pipeline or "")
    chosen = [own] if own is not None else config.pipelines.values()
    return list(dict.fromkeys(location(config, each.cache) for each in chosen)) or [location(config, CacheSpec())]


@contextmanager
def _told(url: str) -> Iterator[None]:
    hide_password(url)
    try:
        yield
    except Exception as error:
        # fsspec's filesystems raise what their libraries raise.
        why = " ".join(str(error).split()) or type(error).__name__
        raise StorageError(f"the cache cannot be used: {why}", where=without_credentials(url)) from error


def _plain(each: Kept) -> dict[str, Any]:
    times = {"oldest": each.oldest, "newest": each.newest}
    return {
        "pipeline": each.pipeline,
        "node": each.node,
        "values": each.values,
        "bytes": each.bytes,
        **{name: datetime.fromtimestamp(at, UTC).isoformat() for name, at in times.items()},
    }
