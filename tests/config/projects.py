"""Projects written for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from fp_events.config import Config, load
from fp_events.domain.errors import ConfigError

MODULE = "def alert(reading: float) -> float:\n    return reading\n"


def write(root: Path, **texts: str) -> Path:
    """A project with the module `a`; `project`, `a`, `env_project`, `env_a` are the texts of its YAML files."""
    folders = {
        "project": "conf/project.yml",
        "a": "conf/pipelines/a.yml",
        "env_project": "conf/env/prod/project.yml",
        "env_a": "conf/env/prod/pipelines/a.yml",
    }
    files = {"pipelines/a.py": MODULE} | {folders[name]: dedent(text) for name, text in texts.items()}
    for file, text in files.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def loaded(root: Path | str, environ: Mapping[str, str] | None = None, **options: Any) -> Config:
    """The project's configuration, with nothing of this process's environment."""
    return load(root, environ=environ or {}, **options)


def refused(root: Path | str, environ: Mapping[str, str] | None = None, **options: Any) -> list[str]:
    """The problems for which the project is refused, as a user reads them."""
    with pytest.raises(ConfigError) as caught:
        loaded(root, environ, **options)
    return [str(problem) for problem in caught.value.problems]
