"""What MLflow keeps of a run's inputs and outputs: parameters, metrics, and files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: Characters of a parameter's value; MLflow takes 6000.
LONGEST: Final = 500
#: Rows of a table that become a file.
_MOST_ROWS: Final = 10_000
#: What MLflow does not take in the name of a parameter or metric.
_STRANGE: Final = re.compile(r"[^\w.\- /]", re.ASCII)


def name_of(name: str) -> str:
    """A node's or input's name as MLflow takes it."""
    return _STRANGE.sub("_", name)[:250]


def parameters(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, str]:
    """Configuration and inputs as text, cut where it is long."""
    return {name_of(name): _short(value) for name, value in {**config, **inputs}.items()}


def _short(value: Any) -> str:
    if isinstance(value, str):
        text = value
    else:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def metrics(results: Mapping[str, Any]) -> dict[str, float]:
    """Outputs that are numbers, and numbers in outputs that are dicts, as ``node.key``."""
    found = {}
    for node, value in results.items():
        number = _number(value)
        if number is not None:
            found[name_of(node)] = number
        elif isinstance(value, Mapping):
            numbers = ((key, _number(item)) for key, item in value.items())
            found.update({name_of(f"{node}.{key}"): item for key, item in numbers if item is not None})
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float):
        # numpy's scalars, without numpy.
        value = value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else None
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def files(results: Mapping[str, Any]) -> Iterator[tuple[str, str | Any]]:
    """Other outputs as files: (name, text), and for a figure the figure itself. What is neither text nor table is none.

    Never a pickle: it would run code when it is opened.
    """
    for node, value in results.items():
        name = name_of(node).replace("/", "_")
        if value is None or _number(value) is not None:
            continue
        if isinstance(value, str):
            yield f"{name}.txt", value
        elif hasattr(value, "savefig"):
            yield f"{name}.png", value
        elif hasattr(value, "to_csv"):
            yield f"{name}.csv", value.head(_MOST_ROWS).to_csv()
        elif hasattr(value, "write_csv"):
            yield f"{name}.csv", value.head(_MOST_ROWS).write_csv()
        elif isinstance(value, Mapping | list | tuple):
            try:
                yield f"{name}.json", json.dumps(value, ensure_ascii=False, indent=2, default=str)
            except (TypeError, ValueError, RecursionError):
                continue
