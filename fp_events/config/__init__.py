"""Configuration files, environment and command line to frozen settings.

`load` reads a project; `connect_options` turns its settings into what a transport needs.
Importing this package imports pydantic: callers do so where they first need settings.
"""

from .connect import connect_options
from .load import load, reload
from .project_keys import (
    ControlSettings,
    EventSettings,
    LedgerSettings,
    LogSettings,
    MqttSettings,
    RetentionSettings,
    TlsSettings,
)
from .result import Config
from .secret_files import control_key, http_token
from .units import parse_duration, parse_size

__all__ = [
    "Config",
    "ControlSettings",
    "EventSettings",
    "LedgerSettings",
    "LogSettings",
    "MqttSettings",
    "RetentionSettings",
    "TlsSettings",
    "connect_options",
    "control_key",
    "http_token",
    "load",
    "parse_duration",
    "parse_size",
    "reload",
]
