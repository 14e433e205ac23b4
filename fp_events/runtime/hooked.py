"""The handler of a pipeline with hooks or resources: what they do before its plan, what they raise."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from fp_events.domain.errors import ResourceUnavailable
from fp_events.domain.hooks import Hook, HookFailed, Hooks
from fp_events.domain.message import Message
from fp_events.domain.observation import AttemptRecord
from fp_events.domain.run import Attempt, AttemptResult, Failure

from .failures import MESSAGE_LENGTH, failure_of, line_of
from .handler import Compiled, PipelineHandler, Ready
from .resources import Pool
from .validation import Unpacked

T = TypeVar("T")


def has_extras(hooks: Hooks) -> bool:
    """Whether attempts need more than `PipelineHandler` does."""
    return bool(hooks.resources or hooks.in_attempt)


class HookedHandler(PipelineHandler):
    """Calls message hooks before the map and `before_run` after it, opens resources; the rest is every handler's."""

    def __init__(self, *args: Any, hooks: Hooks, pool: Pool, **settings: Any) -> None:
        super().__init__(*args, hooks=hooks, **settings)
        self._message = hooks.of("message")
        self._before = hooks.of("before_run")
        self._lease = pool.lease(hooks.resources)
        waits = any(hook.is_async for hook in (*self._message, *self._before))
        waits = waits or any(resource.is_async for resource in hooks.resources.values())
        self.is_async = self.is_async or waits
        self._hooks_wait = self._prepare_on_loop

    def hold(self) -> None:
        """It takes over: resources that it shares with its predecessor stay open."""
        self._lease.hold()

    def retire(self) -> None:
        """Another handler takes its place: resources that only this one has are closed after its last attempt."""
        self._lease.retire()

    def handle(self, attempt: Attempt) -> AttemptResult:
        """As every handler, with its resources kept open."""
        with self._lease:
            return super().handle(attempt)

    async def handle_async(self, attempt: Attempt) -> AttemptResult:
        """The same on the running loop."""
        with self._lease:
            return await super().handle_async(attempt)

    def open_resources(self) -> None:
        """Open what ordinary functions open, before a run's time is counted; attempts tell what is wrong with it."""
        wanted = self._default.wanted - self._default.base.keys()
        with self._lease, suppress(ResourceUnavailable):
            for name, resource in self._lease.resources.items():
                if name in wanted and not resource.is_async:
                    self._lease.get(name)

    def _ready(self, attempt: Attempt) -> Ready:
        return _driven(self._prepare(attempt, on_loop=False))

    async def _prepare_on_loop(self, attempt: Attempt) -> Ready:
        return await self._prepare(attempt, on_loop=True)

    async def _prepare(self, attempt: Attempt, *, on_loop: bool) -> Ready:
        unpacked = None
        if self._message and attempt.message is not None and attempt.trigger is not None:
            unpacked = await self._unpack(attempt, attempt.message)
        if unpacked is None:
            compiled, inputs, scope = super()._ready(attempt)
        else:
            compiled, inputs, scope = self._asked(attempt, unpacked)
        if self._before:
            record = self._record(attempt, compiled, dict(inputs))
            for hook in self._before:
                await _called(hook, record)
        for name in self._lease.resources:
            if name in compiled.wanted and name not in inputs:
                inputs[name] = await self._lease.get_on_loop(name) if on_loop else self._lease.get(name)
        return compiled, inputs, scope

    async def _unpack(self, attempt: Attempt, message: Message) -> Unpacked:
        """What the message hooks give together; of the same name the last one counts."""
        payload = original = self._payload(attempt, message)
        inputs: dict[str, Any] = {}
        config: dict[str, Any] = {}
        for hook in self._message:
            parts = {"payload": payload, "topic": message.topic, "message": message, "captures": attempt.captures}
            answer = await _called(hook, **{name: parts[name] for name in hook.parts})
            if isinstance(answer, Mapping):
                inputs.update(answer)
            elif answer is not None:
                _check_answer(hook, answer)
                inputs.update(getattr(answer, "inputs", None) or {})
                config.update(getattr(answer, "config", None) or {})
                payload = getattr(answer, "payload", payload)
        wanted = self._default.wanted if not config else inputs.keys()
        return Unpacked(
            original=original,
            payload=payload,
            inputs={name: value for name, value in inputs.items() if name in wanted},
            config=config,
        )

    def _record(self, attempt: Attempt, compiled: Compiled, inputs: dict[str, Any]) -> AttemptRecord:
        trigger = None if attempt.trigger is None else self._pipeline.triggers[attempt.trigger]
        return AttemptRecord(
            run_id=attempt.run_id,
            pipeline=self._pipeline.name,
            attempt=attempt.number,
            version=compiled.version,
            trigger=trigger.topic if trigger else "",
            topic=attempt.message.topic if attempt.message else "",
            key=attempt.key,
            inputs=MappingProxyType(inputs),
        )

    def _explained(self, compiled: Compiled, error: BaseException) -> tuple[BaseException, Failure]:
        if isinstance(error, HookFailed):
            cause, failure = super()._explained(compiled, error.cause)
            return cause, _told(error, failure)
        _, failure = super()._explained(compiled, error)
        if isinstance(error, ResourceUnavailable) and error.__cause__ is not None:
            # `retry_exceptions` may name what the user's function raised.
            failure = replace(failure, lineage=(*failure.lineage, *failure_of(error.__cause__).lineage))
        return error, failure


def _driven(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        found: T = ended.value
        return found
    raise AssertionError("only async hooks and resources wait, and with those the handler is async")


async def _called(hook: Hook, *record: Any, **parts: Any) -> Any:
    """Call a hook; raises HookFailed for whatever it raises."""
    try:
        answer = hook.call(*record, **parts)
        if hook.is_async:
            return await answer
        if asyncio.iscoroutine(answer):
            answer.close()
            raise TypeError("it returned a coroutine; write it as `async def`")
        return answer
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        raise HookFailed(hook, error) from error


def _check_answer(hook: Hook, answer: Any) -> None:
    if not any(hasattr(answer, name) for name in ("inputs", "config", "payload")):
        what = (
            f"it returned a {type(answer).__name__}, not inputs by name, nor an object with inputs, config or payload"
        )
        raise HookFailed(hook, TypeError(what))


def _told(error: HookFailed, failure: Failure) -> Failure:
    """The failure that says which hook it was, and where."""
    hook = error.hook
    text = f"{hook.kind} hook {hook.text} ({line_of(hook, error.cause)}): {failure.message}"
    return replace(failure, message=text[:MESSAGE_LENGTH], node="")
