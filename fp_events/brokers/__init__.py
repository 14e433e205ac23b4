"""The broker that a newcomer need not install a service for."""

from .address import BrokerAddress, read_address
from .embedded import EmbeddedBroker

__all__ = ["BrokerAddress", "EmbeddedBroker", "read_address"]
