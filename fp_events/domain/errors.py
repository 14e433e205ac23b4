"""The errors that a user can meet, as one tree.

    FpEventsError                 any of them                                   exit code
    +-- UsageError                the command line is wrong                     64
    |   +-- PipelineNotFound      no pipeline of that name
    |   +-- RunNotFound           no run of that id
    |   +-- ScheduleNotFound      no schedule of that id
    +-- BrokerError               the broker cannot be used                     69
    |   +-- BrokerUnavailable     nobody answers at its address
    |   +-- BrokerRefused         it answered and said no
    +-- DaemonUnavailable         no daemon answers the command                 69
    +-- ExecutorUnavailable       what carries runs to workers does not answer  69
    +-- ResourceUnavailable       a pipeline's resource cannot be opened; the attempt fails
    +-- StorageError              a file or folder cannot be used               74
    |   +-- LedgerCorrupt         the ledger is damaged
    |   +-- LedgerNewer           the ledger was written by a newer version
    |   +-- LedgerFailed          the disk failed under it: stop, never retry
    +-- LedgerHeld                another daemon holds the ledger               75
    +-- ConfigError               configuration or pipeline code is wrong       78
    +-- RunFailed                 a run in the foreground ended badly           1
    +-- Rejected                  a message cannot become inputs; the run ends REJECTED
    |   +-- Undecodable           the payload is not what its format says
    |   +-- InputInvalid          it was decoded, but a mapped input is missing or of a wrong type
    +-- CommandRefused            a command to the daemon was understood and refused
    +-- FlowkitError              tasks and DAGs: something about them is wrong
        +-- TaskExecutionError    a task of `DAG.run` raised; also a RunFailed          1
        +-- DAGCycleError         tasks wait for one another in a circle; also a ConfigError  78
        +-- TaskNotFoundError     a task waits for one that is not there; also a ConfigError  78
        +-- DuplicateTaskError    two tasks have one name; also a ConfigError  78

An error is one sentence: what is wrong and where, then how to mend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class FpEventsError(Exception):
    """Base of all errors that `fp_events` raises on purpose.

    `str(error)` is one line: ``where: what; mend``.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what = what
        self.where = where
        self.mend = mend
        super().__init__(what, where, mend)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.mend)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.mend}" if self.mend else text


def _rebuild(cls: type[FpEventsError], what: str, where: str, mend: str) -> FpEventsError:
    error = cls.__new__(cls)
    FpEventsError.__init__(error, what, where=where, mend=mend)
    return error


class UsageError(FpEventsError):
    """The command line, or a call of the facade, asks for what does not exist."""

    exit_code = 64


class PipelineNotFound(UsageError):
    """No pipeline of that name; names the nearest one there is."""

    def __init__(self, name: str, known: Sequence[str] = ()) -> None:
        from difflib import get_close_matches

        self.name = name
        near = get_close_matches(name, known, n=1)
        mend = f"did you mean '{near[0]}'?" if near else "see `fp-events pipelines list`"
        super().__init__(f"there is no pipeline '{name}'", mend=mend)


class RunNotFound(UsageError):
    """The ledger has no run of that id."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"there is no run '{run_id}'",
            mend="see `fp-events runs list`; finished runs are kept as long as `ledger.retention` says",
        )


class ScheduleNotFound(UsageError):
    """No schedule of that id; names the nearest one there is."""

    def __init__(self, schedule_id: str, known: Sequence[str] = ()) -> None:
        from difflib import get_close_matches

        self.schedule_id = schedule_id
        near = get_close_matches(schedule_id, known, n=1)
        mend = f"did you mean '{near[0]}'?" if near else "see `fp-events schedules list`"
        super().__init__(f"there is no schedule '{schedule_id}'", mend=mend)


class BrokerError(FpEventsError):
    """The broker cannot be used."""

    exit_code = 69


class BrokerUnavailable(BrokerError):
    """Nobody answers at the broker's address."""


class BrokerRefused(BrokerError):
    """The broker answered and said no: password, client id, certificate, protocol."""


class DaemonUnavailable(FpEventsError):
    """No daemon answers the command."""

    exit_code = 69


class ExecutorUnavailable(FpEventsError):
    """What carries runs to workers elsewhere does not answer, or said no."""

    exit_code = 69


class ResourceUnavailable(FpEventsError):
    """A function named in `resources` raised; the attempts that need it fail, and are retried as configured."""


class StorageError(FpEventsError):
    """A file or folder cannot be read or written."""

    exit_code = 74


class LedgerCorrupt(StorageError):
    """The ledger's file is damaged. It is never deleted or mended by itself."""


class LedgerNewer(StorageError):
    """The ledger's file was written by a newer version of this program."""


class LedgerFailed(StorageError):
    """The disk reported an error under a commit. What was written is unknown: the daemon ends."""


class LedgerHeld(FpEventsError):
    """Another process holds the ledger; `pid` is its process id where known."""

    exit_code = 75

    def __init__(self, path: str, pid: int | None) -> None:
        self.path = path
        self.pid = pid
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"the ledger {path} is held by {holder}",
            mend="stop that daemon, or give this one a ledger of its own (ledger.url)",
        )


class ConfigError(FpEventsError):
    """Configuration or pipeline code is wrong.

    `problems` holds every finding of a check; the message is the first one and says how many more.
    """

    exit_code = 78

    def __init__(self, what: str, *, where: str = "", mend: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems) or (Problem(what=what, where=where, mend=mend),)
        super().__init__(what, where=where, mend=mend)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> ConfigError:
        """The error that reports all `problems`, of which there must be at least one."""
        first = problems[0]
        return cls(first.what, where=first.where, mend=first.mend, problems=problems)


class RunFailed(FpEventsError):
    """A run that was waited for ended with another outcome than SUCCEEDED."""

    exit_code = 1
    #: Its facts, where it ran in this process: a `RunReport`.
    report: Any = None


class Rejected(FpEventsError):
    """A message cannot become inputs. Never retried: the same bytes fail again."""


class Undecodable(Rejected):
    """The payload is not what its format says."""


class InputInvalid(Rejected):
    """The payload was decoded, but a mapped input is missing, or of a wrong type."""


class CommandRefused(FpEventsError):
    """A command reached the daemon, was understood, and was refused."""

    exit_code = 64


class FlowkitError(FpEventsError):
    """Something about tasks, a DAG, a StateManager or a TaskCache is wrong."""


class TaskExecutionError(FlowkitError, RunFailed):
    """A task of `DAG.run` raised, or its condition did; `__cause__` is what it raised."""

    def __init__(self, what: str, *, where: str = "", mend: str = "", task_name: str = "", attempts: int = 1) -> None:
        self.task_name = task_name
        #: Calls of the task's function, the failed one among them.
        self.attempts = attempts
        super().__init__(what, where=where, mend=mend)

    @property
    def cause(self) -> BaseException | None:
        """What the task raised."""
        return self.__cause__

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_execution, (self.what, self.where, self.mend, self.task_name, self.attempts)


def _rebuild_execution(what: str, where: str, mend: str, task_name: str, attempts: int) -> TaskExecutionError:
    return TaskExecutionError(what, where=where, mend=mend, task_name=task_name, attempts=attempts)


class DAGCycleError(FlowkitError, ConfigError):
    """Tasks wait for one another in a circle; the sentence has its path: ``a -> b -> a``."""


class TaskNotFoundError(FlowkitError, ConfigError):
    """A task waits for one that is not among the tasks of its DAG."""


class DuplicateTaskError(FlowkitError, ConfigError):
    """Two tasks of a DAG have the same name, and results are by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding of a check, before anything runs."""

    what: str
    #: ``file:line``, relative to the project's folder where it can be.
    where: str = ""
    mend: str = ""
    #: A warning is shown and does not stop `serve`.
    warning: bool = False

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.mend}" if self.mend else text
