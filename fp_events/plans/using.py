"""What a plan uses beside its functions."""

from __future__ import annotations

from .selection import Selection

#: Tags of Hamilton's nodes for savers and loaders, with their adapter's name.
_TAGS = ("hamilton.data_saver.sink", "hamilton.data_loader.source")


def uses_broker(selection: Selection) -> bool:
    """Whether some node of the plan is `@save_to.mqtt` or `@load_from.mqtt`."""
    return any(selection.graph.nodes[name].tags.get(tag) == "mqtt" for name in selection.order for tag in _TAGS)
