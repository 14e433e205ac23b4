"""What a plan uses beside its functions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from .selection import Selection

#: Tags of Hamilton's nodes for savers and loaders, with their adapter's name.
_SAVER, _LOADER = "hamilton.data_saver.sink", "hamilton.data_loader.source"


def uses_broker(selection: Selection) -> bool:
    """Whether some node of the plan is `@save_to.mqtt` or `@load_from.mqtt`."""
    return any(
        selection.graph.nodes[name].tags.get(tag) == "mqtt" for name in selection.order for tag in (_SAVER, _LOADER)
    )


def saved_topics(selection: Selection) -> Iterator[tuple[str, str]]:
    """(node, topic) of the plan's `@save_to.mqtt`, as far as the topic is written there."""
    for name in selection.order:
        node = selection.graph.nodes[name]
        if node.tags.get(_SAVER) == "mqtt" and isinstance(node.callable, partial):
            # See `placing`: places, factory, resolved arguments, dependencies, the node that is saved.
            topic = node.callable.args[2].get("topic")
            if isinstance(topic, str):
                yield name, topic
