"""``adapter``: what runs report to, and the older ``tracker`` and ``open_telemetry``."""

from __future__ import annotations

from typing import Any, Final

from .blocks import New, Old, is_empty

#: What FlowerPower writes into every project, and what counts as left out.
_DEFAULTS: Final[dict[tuple[str, str], Any]] = {
    ("hamilton_tracker", "api_url"): "http://localhost:8241",
    ("hamilton_tracker", "ui_url"): "http://localhost:8242",
    ("hamilton_tracker", "verify"): False,
    ("hamilton_tracker", "capture_data_statistics"): True,
    ("hamilton_tracker", "max_list_length_capture"): 50,
    ("hamilton_tracker", "max_dict_length_capture"): 10,
    ("opentelemetry", "host"): "localhost",
    ("opentelemetry", "port"): 6831,
    ("ray", "shutdown_ray_on_completion"): False,
}
#: Jaeger's agent, by UDP, which collectors of today do not have.
_JAEGER: Final = 6831
_PORT = "6831 was Jaeger's own protocol; spans go by OTLP now, whose port is 4317"


def adapter_block(old: Old, new: New) -> None:
    """Translate an ``adapter`` block of the project or of a pipeline."""
    for name in list(old.left):
        one_adapter(old.block(name), name, new)
    old.end()


def one_adapter(old: Old, name: str, new: New) -> None:
    """Translate the settings of one adapter, wherever they stood."""
    for key in list(old.left):
        value = old.take(key)
        if is_empty(value) or value == _DEFAULTS.get((name, key)):
            continue
        path = ("adapter", name, key)
        if path == ("adapter", "opentelemetry", "port") and value == _JAEGER:
            new.put(old, key, 4317, path, comment=_PORT)
        elif path == ("adapter", "mlflow", "run_tags") and not new.takes(path, value):
            new.put(old, key, value, ("adapter", "mlflow", "tags"))
        else:
            new.put(old, key, value, path)
