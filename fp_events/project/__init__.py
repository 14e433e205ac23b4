"""The Python facade: a project as an object, in scripts, notebooks and services.

with Project.load("plant") as project:
    values = project.run("tank", inputs={"level": 700})
"""

from fp_events.domain.errors import RunFailed

from .facade import Project
from .options import RunConfig, RunOptions
from .results import Results
from .submitted import Submitted

__all__ = ["Project", "Results", "RunConfig", "RunFailed", "RunOptions", "Submitted"]
