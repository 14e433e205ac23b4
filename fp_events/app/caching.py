"""The stores of nodes' values that a process uses, and the codecs that they use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fp_events import codecs
from fp_events.cache import Caches
from fp_events.domain.caching import CacheSpec, NodeStore

from .adapting import hide_password

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.catalogue import StoreOf

#: Of this process: a reload goes on with the stores that are open, and with what was counted.
CACHES: Final = Caches()


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


def locations(config: Config, pipeline: str | None = None) -> list[str]:
    """The stores of a project, or of one of its pipelines, each once."""
    chosen = [each.cache for each in config.pipelines.values() if pipeline in (None, each.name)]
    return list(dict.fromkeys(location(config, spec) for spec in chosen))
