"""Data pipelines on MQTT messages."""

__version__ = "0.1.0"

#: Type checkers hold this name for true; `typing` would double the time of the import.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .dags.dag import DAG as DAG
    from .dags.log import FlowkitLogger as FlowkitLogger
    from .dags.log import LogLevel as LogLevel
    from .dags.log import configure_logging as configure_logging
    from .dags.log import get_logger as get_logger
    from .domain.errors import DAGCycleError as DAGCycleError
    from .domain.errors import DuplicateTaskError as DuplicateTaskError
    from .domain.errors import FlowkitError as FlowkitError
    from .domain.errors import RunFailed as RunFailed
    from .domain.errors import TaskExecutionError as TaskExecutionError
    from .domain.errors import TaskNotFoundError as TaskNotFoundError
    from .nodes import cached as cached
    from .nodes import retry as retry
    from .nodes import timeout as timeout
    from .nodes import when as when
    from .project import Project as Project
    from .project import RunConfig as RunConfig
    from .tasks.state import StateManager as StateManager
    from .tasks.task import Task as Task
    from .tasks.task import task as task
    from .tasks.task_cache import TaskCache as TaskCache

#: Public name -> the module that has it. Imported when first asked for: `import fp_events` stays cheap.
_LAZY = {
    "DAG": "dags.dag",
    "DAGCycleError": "domain.errors",
    "DuplicateTaskError": "domain.errors",
    "FlowkitError": "domain.errors",
    "FlowkitLogger": "dags.log",
    "LogLevel": "dags.log",
    "Project": "project",
    "RunConfig": "project",
    "RunFailed": "domain.errors",
    "StateManager": "tasks.state",
    "Task": "tasks.task",
    "TaskCache": "tasks.task_cache",
    "TaskExecutionError": "domain.errors",
    "TaskNotFoundError": "domain.errors",
    "cached": "nodes",
    "configure_logging": "dags.log",
    "get_logger": "dags.log",
    "retry": "nodes",
    "task": "tasks.task",
    "timeout": "nodes",
    "when": "nodes",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
