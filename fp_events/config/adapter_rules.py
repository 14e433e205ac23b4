"""What adapters that are on cannot do without, and what deserves a warning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fp_events.domain.errors import Problem

from .layers import Layer, Path, deciding, origin
from .pipeline_keys import PipelineSettings
from .values import Substituted

_KEY: Path = ("adapter", "hamilton_tracker", "api_key")


def _key_rules(layers: Sequence[Layer]) -> Iterator[Problem]:
    layer = deciding(layers, _KEY)
    if layer is None or not layer.is_file:
        return
    tracker = layer.data["adapter"]["hamilton_tracker"]
    if tracker.get("api_key") is not None and not isinstance(tracker["api_key"], Substituted):
        yield Problem(
            what="adapter.hamilton_tracker.api_key holds a key in plain text",
            where=layer.origin(_KEY),
            mend="use ${VAR}, api_key_file or FP_EVENTS_ADAPTER__HAMILTON_TRACKER__API_KEY",
            warning=True,
        )


def adapter_rules(settings: PipelineSettings, layers: Sequence[Layer]) -> Iterator[Problem]:
    """Problems and warnings of one pipeline's adapters."""
    yield from _key_rules(layers)
    tracker = settings.adapter.hamilton_tracker
    if not settings.run.with_adapter.hamilton_tracker:
        return
    for name, example in (("username", "username: me@example.com"), ("project_id", "project_id: 1")):
        if getattr(tracker, name) is None:
            yield Problem(
                what=f"run.with_adapter.hamilton_tracker is on, and adapter.hamilton_tracker.{name} is missing",
                where=origin(layers, ("run", "with_adapter", "hamilton_tracker")),
                mend=f"give it, such as `{example}`; Hamilton UI shows both",
            )
