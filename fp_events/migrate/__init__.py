"""FlowerPower's projects, of all versions, to this program's.

`plan` reads and translates, `write` writes beside the old project, which stays as it is.
"""

from .migrating import plan, write
from .report import Change, Kind, Migration

__all__ = ["Change", "Kind", "Migration", "plan", "write"]
