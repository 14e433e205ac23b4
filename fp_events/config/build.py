"""A pipeline's settings to the domain's `Pipeline`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from fp_events.domain.adapters import ADAPTERS
from fp_events.domain.pipeline import ExecutorSpec, Output, Pipeline, Trigger
from fp_events.domain.retry import RetryPolicy

from .hook_keys import hooks, resources
from .layers import Layer, Path, origin, path_text
from .material_keys import materials
from .pipeline_keys import OutputSettings, PipelineSettings, TriggerSettings
from .project_keys import ProjectSettings
from .rules import exception_name
from .run_keys import RunSettings
from .schedules import build_schedules, written


def build_pipeline(
    name: str,
    settings: PipelineSettings,
    layers: Sequence[Layer],
    where: str,
    project: ProjectSettings,
    project_layers: Sequence[Layer],
) -> Pipeline:
    """The pipeline that merged and checked `settings` describe; `project`: what has hooks for all pipelines."""
    run = settings.run
    both = (project_layers, layers)
    return Pipeline(
        name=name,
        module=f"pipelines.{name}",
        triggers=tuple(
            _trigger(trigger, origin(layers, ("triggers", index))) for index, trigger in enumerate(settings.triggers)
        ),
        outputs=tuple(
            _output(output, origin(layers, ("outputs", index))) for index, output in enumerate(settings.outputs)
        ),
        state=settings.state,
        inputs=run.inputs,
        params=settings.params,
        config=run.config,
        final_vars=run.final_vars,
        executor=_executor(run),
        timeout=run.timeout,
        deadline=run.deadline,
        retry=_retry(run),
        on_retry=run.on_retry,
        log_level=run.log_level,
        trace=run.trace,
        adapters=tuple(name for name in ADAPTERS if getattr(run.with_adapter, name)),
        adapter=settings.adapter.model_dump() if settings.adapter.model_fields_set else {},
        loads=materials(settings.io.load, "load", layers),
        saves=materials(settings.io.save, "save", layers),
        hooks=hooks(project.hooks, settings.hooks, both),
        resources=resources(project.resources, settings.resources, both),
        cache=run.cache.spec(),
        on_success=run.on_success,
        on_failure=run.on_failure,
        schedules=build_schedules(name, settings, layers),
        enabled=settings.enabled,
        where=where,
        origins={path_text(path): origin(layers, path) for path in _written(settings)},
    )


def _written(settings: PipelineSettings) -> Iterator[Path]:
    """Settings that are judged only when the module is known."""
    for block, names in (
        (("params",), settings.params),
        (("state",), settings.state),
        (("run", "inputs"), settings.run.inputs),
        (("run", "config"), settings.run.config),
    ):
        yield from ((*block, name) for name in names)
    for path, schedule in written(settings):
        yield from ((*path, "inputs", name) for name in schedule.inputs)
    yield from (("run", "cache", name) for name in sorted(settings.run.cache.model_fields_set))
    yield from (("run", name) for name in ("final_vars", "on_success", "on_failure") if getattr(settings.run, name))
    for index, trigger in enumerate(settings.triggers):
        yield from (("triggers", index, "map", name) for name in trigger.map or ())
        yield from (("triggers", index, name) for name in ("key", "identity") if getattr(trigger, name) is not None)
    yield from (
        ("outputs", index, "topic") for index, output in enumerate(settings.outputs) if output.topic is not None
    )


def _trigger(settings: TriggerSettings, where: str) -> Trigger:
    return Trigger(
        topic=settings.topic,
        qos=settings.qos,
        format=settings.format,
        map=settings.map,
        spread=settings.spread,
        retained=settings.retained,
        key=settings.key,
        acknowledge=settings.acknowledge,
        concurrency=settings.concurrency,
        identity=settings.identity,
        expires_after=settings.expires_after,
        where=where,
    )


def _output(settings: OutputSettings, where: str) -> Output:
    return Output(
        node=settings.node,
        topic=settings.topic,
        each=settings.each,
        qos=settings.qos,
        retain=settings.retain,
        expires_after=settings.expires_after,
        nan=settings.nan,
        where=where,
    )


def _executor(run: RunSettings) -> ExecutorSpec | None:
    executor = run.executor
    if executor.type is None:
        return None
    if executor.type == "rq":
        return ExecutorSpec("rq", executor.max_workers, url=executor.url, queue=executor.queue)
    if executor.type in ("ray", "dask"):
        return ExecutorSpec(
            executor.type,
            executor.max_workers,
            num_cpus=executor.num_cpus,
            address=executor.address,
            project=executor.project,
            options=json.dumps(executor.options, sort_keys=True) if executor.options else "",
        )
    return ExecutorSpec(executor.type, executor.max_workers)


def _retry(run: RunSettings) -> RetryPolicy:
    return RetryPolicy(
        max_retries=run.max_retries,
        retry_delay=run.retry_delay,
        jitter_factor=run.jitter_factor,
        exponential=run.retry_backoff == "exponential",
        max_delay=run.max_delay,
        retry_exceptions=tuple(exception_name(name) for name in run.retry_exceptions),
    )
