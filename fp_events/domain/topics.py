"""Topics and topic filters (MQTT 5 and 3.1.1, section 4.7)."""

from .topic_filter import RESERVED_NAMES, TopicPattern, parse_filter, validate_topic
from .topic_router import TopicRouter
from .topic_sets import FilterIndex, covering, covers, disjoint_cover, overlaps

__all__ = [
    "RESERVED_NAMES",
    "FilterIndex",
    "TopicPattern",
    "TopicRouter",
    "covering",
    "covers",
    "disjoint_cover",
    "overlaps",
    "parse_filter",
    "validate_topic",
]
