"""One wrong input: what was done, on which project, and the sentence that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

#: Of `Case.around`: prepares a folder and whatever lives beside it; gives volatile texts by placeholder.
Around = Callable[[Path], AbstractAsyncContextManager[Mapping[str, str]]]

#: A project that is right. A case lays its own files over it.
PROJECT: Mapping[str, str] = {
    "conf/project.yml": "name: plant\n",
    "conf/pipelines/alerts.yml": """\
triggers:
  - topic: plant/{line}/temperature
    map:
      reading: payload.value
      line: topic.line
outputs:
  - node: alert
    topic: alerts/{line}
""",
    "pipelines/alerts.py": '''\
def alert(reading: float, line: str, limit: float = 80.0) -> dict | None:
    """What to tell of a line that is too hot."""
    return {"line": line, "reading": reading} if reading > limit else None
''',
}
ALERTS_YML = PROJECT["conf/pipelines/alerts.yml"]
ALERTS_PY = PROJECT["pipelines/alerts.py"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A wrong input and its answer."""

    #: What was done wrong, as a row of docs/errors.md begins.
    wrong: str
    #: All sentences on stderr, volatile parts as ``<placeholders>``.
    says: str
    code: int
    #: Over `PROJECT`; None leaves a file out.
    files: Mapping[str, str | None] = field(default_factory=dict)
    #: Of `fp-events`, called in the project's folder; ``<placeholders>`` are filled in.
    arguments: tuple[str, ...] = ("serve",)
    environ: Mapping[str, str] = field(default_factory=dict)
    around: Around | None = None
    #: The program goes on: event of the log line whose `error` is the sentence. Then it is sent SIGTERM.
    event: str = ""
    #: Placeholder -> regular expression of what differs between machines.
    volatile: Mapping[str, str] = field(default_factory=dict)

    def project(self) -> dict[str, str]:
        """The files of the project that is wrong."""
        return {name: text for name, text in {**PROJECT, **self.files}.items() if text is not None}
