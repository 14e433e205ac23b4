"""Durable records of messages, runs, state and publications."""
