"""Tasks: functions that `>>` connects instead of parameter names, flowkit's way of writing a DAG.

Here is what a task is, which tasks there are and how their arguments bind: the standard library alone. `dags` runs them
by themselves, `plans` compiles them like any other pipeline.
"""

from .state import StateManager
from .task import Task, task
from .task_cache import TaskCache

__all__ = ["StateManager", "Task", "TaskCache", "task"]
