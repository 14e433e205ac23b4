"""``adapter``: what runs report to, and the older ``tracker`` and ``open_telemetry``."""

from __future__ import annotations

from typing import Any, Final

from .blocks import New, Old
from .report import Kind

#: What FlowerPower writes into every project and means the same as nothing here.
_SAME: Final[dict[tuple[str, str], Any]] = {
    ("hamilton_tracker", "api_url"): "http://localhost:8241",
    ("hamilton_tracker", "capture_data_statistics"): True,
    ("hamilton_tracker", "max_list_length_capture"): 50,
    ("opentelemetry", "host"): "localhost",
    ("ray", "shutdown_ray_on_completion"): False,
}
#: What it writes into every project too, and what counts only beside a key that somebody has written.
_NOISE: Final[dict[tuple[str, str], Any]] = {
    ("hamilton_tracker", "ui_url"): "http://localhost:8242",
    ("hamilton_tracker", "verify"): False,
    ("hamilton_tracker", "max_dict_length_capture"): 10,
    ("opentelemetry", "port"): 6831,
}
#: Where a key that stood in the open goes.
_KEY_FILE: Final = "conf/hamilton-api-key"
#: Jaeger's agent, by UDP, which collectors of today do not have.
_JAEGER: Final = 6831
_PORT: Final = "6831 was Jaeger's own protocol; spans go by OTLP now, whose port is 4317"
_TODO: Final = {
    ("mlflow", "run_id"): "each attempt is a run of its own in MLflow",
    ("hamilton_tracker", "version"): "write it among `tags`; runs have the code's version anyway",
}


def adapter_block(old: Old, new: New) -> None:
    """Translate an ``adapter`` block of the project or of a pipeline."""
    for name in list(old.left):
        one_adapter(old.block(name), name, new)
    old.end()


def one_adapter(old: Old, name: str, new: New) -> None:
    """Translate the settings of one adapter, wherever they stood."""
    for key in list(old.left):
        # Off is a setting here: some keys are on where nothing is said.
        if old.left[key] in (None, "", {}, []) or old.left[key] == _SAME.get((name, key)):
            old.take(key)
    if all(value == _NOISE.get((name, key)) for key, value in old.left.items()):
        old.left.clear()
    for key in list(old.left):
        _setting(old, new, name, key, old.take(key))


def _setting(old: Old, new: New, name: str, key: str, value: Any) -> None:
    path = ("adapter", name, key)
    if (name, key) in _TODO:
        old.tell(Kind.TODO, key, value, note=_TODO[name, key])
    elif (name, key) == ("opentelemetry", "port") and value == _JAEGER:
        new.put(old, key, 4317, path, comment=_PORT)
    elif (name, key) == ("mlflow", "run_tags"):
        new.put(old, key, value, ("adapter", "mlflow", "tags"))
    elif key == "api_key" and not str(value).startswith("${"):
        old.migration.texts[_KEY_FILE] = f"{value}\n"
        old.migration.private.add(_KEY_FILE)
        new.set(("adapter", name, "api_key_file"), _KEY_FILE)
        note = "only you can read that file; keep it out of version control"
        old.tell(Kind.CHANGED, key, value, f"adapter.{name}.api_key_file: {_KEY_FILE}", note)
    else:
        new.put(old, key, value, path)
