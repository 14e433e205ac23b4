"""The composition root: the one place that sees every layer.

Its parts are imported when they are first asked for: `status` needs neither Hamilton nor a transport.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .asking import call
    from .building import broker_address, catalogue, check
    from .caching import forget, kept
    from .calling import Calls
    from .foreground import run_pipeline
    from .places import executor_for
    from .serving import ServeReport, serve
    from .single import Call, RunReport

__all__ = [
    "Call",
    "Calls",
    "RunReport",
    "ServeReport",
    "broker_address",
    "call",
    "catalogue",
    "check",
    "executor_for",
    "forget",
    "kept",
    "run_pipeline",
    "serve",
]

_PARTS = {
    "Call": "single",
    "Calls": "calling",
    "RunReport": "single",
    "ServeReport": "serving",
    "broker_address": "building",
    "call": "asking",
    "catalogue": "building",
    "check": "building",
    "executor_for": "places",
    "forget": "caching",
    "kept": "caching",
    "run_pipeline": "foreground",
    "serve": "serving",
}


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PARTS[name]}", __name__), name)
