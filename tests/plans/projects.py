"""Projects made for a test."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from fp_events.domain.pipeline import Pipeline
from fp_events.plans.catalogue import Catalogue


class Project:
    """A folder with modules, and its catalogue."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalogue = Catalogue(root)

    def write(self, path: str, source: str) -> Path:
        """Write a file under the project's folder."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source).lstrip("\n"))
        return file

    def pipeline(self, source: str = "", **settings: Any) -> Pipeline:
        """The pipeline `work`, with its module's source where given."""
        if source:
            self.write("pipelines/work.py", source)
        return Pipeline(name="work", module="pipelines.work", where="conf/pipelines/work.yml", **settings)
