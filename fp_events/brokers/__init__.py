"""The broker that a newcomer need not install a service for."""
