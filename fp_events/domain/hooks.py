"""Users' functions at points of a run's life, and the resources that runs are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: In the attempt, where it is executed: what they raise fails it.
IN_ATTEMPT: Final = ("message", "before_run", "before_node", "after_node")
#: In the daemon, once the outcome or the retry is durable: what they raise is counted and told.
AFTER_COMMIT: Final = ("after_run", "on_success", "on_failure", "on_retry")
KINDS: Final = (*IN_ATTEMPT, *AFTER_COMMIT)

#: What a message hook may ask for, by the names of its parameters.
MESSAGE_PARTS: Final = ("payload", "topic", "message", "captures")


@dataclass(frozen=True, slots=True)
class Named:
    """A function as settings name it."""

    #: ``module:function``.
    text: str
    #: ``file:line`` of the setting.
    where: str = field(default="", compare=False)
    #: Of the whole project, not of one pipeline.
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A user's function, imported, that is called at one point of a run's life."""

    #: One of `KINDS`.
    kind: str
    #: ``module:function``.
    text: str
    call: Callable[..., Any] = field(repr=False)
    #: ``file:line`` of its `def`, relative to the project.
    where: str = ""
    is_async: bool = False
    #: Of a message hook: those of `MESSAGE_PARTS` that it asks for.
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """How one input is opened, once per worker."""

    #: The input's name.
    name: str
    #: ``module:function``.
    text: str
    call: Callable[..., Any] = field(repr=False)
    where: str = ""
    #: It is opened, used and closed on one event loop.
    is_async: bool = False
    #: It yields the resource once, and closes it when it goes on.
    yields: bool = False
    #: What it may be given by name, of `params` and `run.inputs`.
    parameters: tuple[str, ...] = ()
    #: What it is called with.
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Equal where code and arguments are: such resources are one.
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """All hooks and resources of one pipeline, imported."""

    #: Kind -> hooks in the order of their calls.
    by_kind: Mapping[str, Sequence[Hook]] = field(default_factory=dict)
    #: By input.
    resources: Mapping[str, Resource] = field(default_factory=dict)

    def of(self, kind: str) -> Sequence[Hook]:
        """The hooks of a kind; mostly none."""
        return self.by_kind.get(kind, ())

    @property
    def in_attempt(self) -> Sequence[Hook]:
        """Those that are called where attempts are executed."""
        return tuple(hook for kind in IN_ATTEMPT for hook in self.of(kind))

    @property
    def after_commit(self) -> Mapping[str, Sequence[Hook]]:
        """Those that the daemon calls, by kind."""
        return {kind: self.by_kind[kind] for kind in AFTER_COMMIT if self.by_kind.get(kind)}


class HookFailed(Exception):
    """Carries what a hook raised in an attempt out of whatever called it."""

    def __init__(self, hook: Hook, cause: BaseException) -> None:
        super().__init__(hook.text)
        self.hook = hook
        self.cause = cause
