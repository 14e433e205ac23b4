"""The composition root: the one place that sees every layer."""

from __future__ import annotations

from .asking import call
from .building import broker_address, catalogue, check
from .foreground import RunReport, run_pipeline
from .serving import ServeReport, serve

__all__ = ["RunReport", "ServeReport", "broker_address", "call", "catalogue", "check", "run_pipeline", "serve"]
