"""Hooks before and after nodes, as Hamilton's lifecycle knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fp_events.domain.adapters import RUNNING
from fp_events.domain.hooks import Hook, HookFailed, Hooks
from fp_events.domain.observation import NodeCall

from .hamilton_api import hamilton


def node_adapters(hooks: Hooks) -> list[Any]:
    """Lifecycle adapters that call the hooks of a pipeline around its nodes; none where there are no such hooks."""
    made = []
    for is_async in (False, True):
        before = [hook for hook in hooks.of("before_node") if hook.is_async is is_async]
        after = [hook for hook in hooks.of("after_node") if hook.is_async is is_async]
        if before or after:
            made.append((_awaiting if is_async else _plain)(before, after))
    return made


def _plain(before: Sequence[Hook], after: Sequence[Hook]) -> Any:
    base = hamilton("lifecycle.base")

    class NodeHooks(base.BasePreNodeExecute, base.BasePostNodeExecute):  # type: ignore[misc,name-defined]  # loaded late
        def pre_node_execute(self, *, node_: Any, kwargs: dict[str, Any], **_: Any) -> None:
            call = _call(node_, kwargs)
            for hook in before:
                _made(hook, call)

        def post_node_execute(
            self, *, node_: Any, kwargs: dict[str, Any], error: Exception | None, result: Any, **_: Any
        ) -> None:
            call = _call(node_, kwargs, result, error)
            for hook in after:
                _made(hook, call)

    return NodeHooks()


def _awaiting(before: Sequence[Hook], after: Sequence[Hook]) -> Any:
    base = hamilton("lifecycle.base")

    class AsyncNodeHooks(base.BasePreNodeExecuteAsync, base.BasePostNodeExecuteAsync):  # type: ignore[misc,name-defined]  # loaded late
        async def pre_node_execute(self, *, node_: Any, kwargs: dict[str, Any], **_: Any) -> None:
            call = _call(node_, kwargs)
            for hook in before:
                await _awaited(hook, call)

        async def post_node_execute(
            self, *, node_: Any, kwargs: dict[str, Any], error: Exception | None, result: Any, **_: Any
        ) -> None:
            call = _call(node_, kwargs, result, error)
            for hook in after:
                await _awaited(hook, call)

    return AsyncNodeHooks()


def _made(hook: Hook, call: NodeCall) -> None:
    try:
        hook.call(call)
    except BaseException as error:
        raise _failed(hook, call, error) from error


async def _awaited(hook: Hook, call: NodeCall) -> None:
    try:
        await hook.call(call)
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        raise _failed(hook, call, error) from error


def _failed(hook: Hook, call: NodeCall, error: BaseException) -> BaseException:
    """What the attempt fails of: the hook's error, unless the node had failed before."""
    if call.error is None:
        return HookFailed(hook, error)
    call.error.add_note(f"beside it, {hook.kind} {hook.text} raised {type(error).__name__}: {error}")
    return call.error


def _call(node: Any, inputs: Mapping[str, Any], result: Any = None, error: BaseException | None = None) -> NodeCall:
    running = RUNNING.get()
    return NodeCall(
        run_id=running.run_id if running else "",
        pipeline=running.pipeline if running else "",
        attempt=running.attempt if running else 0,
        node=node.name,
        tags=MappingProxyType(node.tags),
        inputs=MappingProxyType(inputs),
        result=None if error is not None else result,
        error=error,
    )
