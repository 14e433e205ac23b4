"""Connections to brokers; each module is the only importer of its library."""
