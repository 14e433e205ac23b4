"""Data pipelines on MQTT messages."""

__version__ = "0.1.0"
