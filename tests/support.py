"""Real parts for tests: programs, free ports, brokers."""

from __future__ import annotations

import os
import shutil
import socket

import pytest


def require_program(name: str) -> str:
    """Path of a program; without it the test is skipped, or fails where CI=true."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if path is None:
        message = f"{name} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
