"""From a configuration to plans, handlers, executors, ledgers and connections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fp_events import codecs
from fp_events.domain.closing import at_end_of_process
from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import BrokerUnavailable, ConfigError, PipelineNotFound, Problem
from fp_events.domain.pipeline import ExecutorSpec, Pipeline
from fp_events.domain.ports import Executor, Handler, HandlerLoader, Ledger, Plan
from fp_events.domain.run import PlanRef
from fp_events.runtime.formats import Formats
from fp_events.runtime.handler import PlanSource
from fp_events.runtime.names import Names
from fp_events.runtime.resources import Pool

from .adapting import adapter_problems, adapters_of, hide_password
from .caching import store_of
from .hooking import make_handler, opening
from .link import retained
from .places import missing_extra

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.catalogue import Catalogue

    from .values import Elsewhere


def folder_of(config: Config) -> Path:
    """The project's ``.fp-events``: ledger, socket, embedded broker."""
    return config.state_path(".fp-events")


def names_of(config: Config) -> Names:
    """The daemon's own topics."""
    return Names(config.mqtt.base_topic or f"fp/{config.name}", config.mqtt.client_id or "")


def catalogue(config: Config) -> Catalogue:
    """The project's plans."""
    from fp_events.plans.catalogue import Catalogue

    return Catalogue(config.local_path("."), config.source, store=store_of(config))


def pipeline_of(config: Config, name: str) -> Pipeline:
    """A pipeline by name; raises PipelineNotFound."""
    try:
        return config.pipelines[name]
    except KeyError:
        raise PipelineNotFound(name, tuple(config.pipelines)) from None


def check(config: Config) -> list[Problem]:
    """Everything that is wrong, found without connecting or running anything; warnings among it."""
    from fp_events.domain.feedback import daemon_loops, feedback_loops
    from fp_events.domain.placeholders import unfilled_names

    plans = catalogue(config)
    problems = [*config.warnings, *_control_problems(config)]
    for pipeline in config.pipelines.values():
        problems.extend(plans.check(pipeline))
        problems.extend(unfilled_names(pipeline))
    enabled = [pipeline for pipeline in config.pipelines.values() if pipeline.enabled]
    names = names_of(config)
    saving = [_with_savers(plans, pipeline, problems) for pipeline in enabled]
    problems.extend(feedback_loops(saving, names.result))
    silent = config.events.status == "none"

    def told(pipeline: str) -> list[str]:
        return [*([] if silent else [names.event(pipeline, "succeeded")]), names.state(pipeline)]

    def told_at_times(pipeline: str) -> list[str]:
        return [*([] if silent else [names.event(pipeline, "+")]), names.dead_letter(pipeline)]

    problems.extend(daemon_loops(enabled, told, told_at_times))
    problems.extend(_exactly_once_problems(config, enabled))
    problems.extend(_missing_extras(config, enabled))
    found = list(adapter_problems(config, plans, enabled))
    problems.extend(each for each in found if each not in problems)
    return problems


def _with_savers(plans: Catalogue, pipeline: Pipeline, problems: list[Problem]) -> Pipeline:
    """The pipeline with what its savers publish among its outputs; adds a problem for a topic that is none."""
    from fp_events.domain.templates import parse_topic

    saved = []
    for output in plans.saved(pipeline):
        try:
            parse_topic(output.topic or "")
            saved.append(output)
        except ValueError as error:
            problems.append(Problem(what=f"@save_to.mqtt: {error}", where=output.where, mend="mend the topic"))
    return replace(pipeline, outputs=(*pipeline.outputs, *saved)) if saved else pipeline


def _missing_extras(config: Config, enabled: Sequence[Pipeline]) -> Iterator[Problem]:
    """Executors whose libraries come with an extra of this package."""
    for pipeline in enabled:
        found = [(s.request["executor"]["type"], s.where) for s in pipeline.schedules if "executor" in s.request]
        if pipeline.executor is not None:
            found.append((pipeline.executor.type, config.origin(f"pipelines.{pipeline.name}.run.executor.type")))
        for executor, where in found:
            missing = missing_extra(executor)
            if missing is not None:
                what = f"the executor '{executor}' needs the package {missing[0]}, which is not installed"
                yield Problem(what=what, where=where, mend=missing[1])


def _exactly_once_problems(config: Config, enabled: Sequence[Pipeline]) -> Iterator[Problem]:
    """QoS 2 asks for the client that answers such a message after it is saved."""
    mqtt = config.mqtt
    ours = mqtt.client != "aiomqtt" and mqtt.protocol == "5" and not mqtt.url.startswith(("ws:", "wss:"))
    for pipeline in enabled:
        for trigger in pipeline.triggers:
            if trigger.qos == 2 and not ours:
                yield Problem(
                    what="qos: 2 is not available with aiomqtt, which confirms such messages before they are saved",
                    where=trigger.where,
                    mend="use MQTT 5 over TCP or TLS and leave mqtt.client out, or qos 1 and `identity`",
                )


def _control_problems(config: Config) -> Sequence[Problem]:
    """What is wrong with the key of commands by MQTT and the token of those by HTTP, and with the names of commands."""
    from difflib import get_close_matches

    from fp_events.config import control_key, http_token
    from fp_events.runtime.commands import COMMANDS

    problems = [
        Problem(
            what=f"control.commands: there is no command '{name}'",
            where=config.origin(f"control.commands[{index}]"),
            mend=f"did you mean '{near[0]}'?" if near else "docs/commands.md lists them",
        )
        for index, name in enumerate(config.control.commands)
        if name not in COMMANDS
        for near in [get_close_matches(name, COMMANDS, n=1)]
    ]
    for read in (control_key, http_token):
        try:
            read(config)
        except ConfigError as error:
            problems.extend(error.problems)
    return problems


def spec_of(pipeline: Pipeline, plan: Plan) -> ExecutorSpec:
    """Where the pipeline's runs execute: as configured, else threads for functions, the loop for async ones."""
    if pipeline.executor is not None:
        return pipeline.executor
    return ExecutorSpec("threadpool" if plan.has_sync_nodes else "local")


def handler_loader(
    config: Config,
    plans: Catalogue,
    *,
    publishes: bool = True,
    formats: Formats = codecs,
    adapters: Sequence[Any] = (),
    pool: Pool | None = None,
) -> HandlerLoader:
    """Handlers by pipeline, made once each; `publishes`: their results are for topics.

    `adapters`: Hamilton's lifecycle adapters, beside those that the configuration names. `pool`: what resources are
    shared in; None: in these handlers alone.
    """
    pool = pool or Pool()
    names = names_of(config)
    source: PlanSource = WithAdapters(plans, adapters) if adapters else plans
    made: dict[str, Handler] = {}

    def load(ref: PlanRef) -> Handler:
        handler = made.get(ref.pipeline)
        if handler is None:
            pipeline = pipeline_of(config, ref.pipeline)
            topic = partial(names.result, ref.pipeline)
            handler = make_handler(
                pipeline,
                plans,
                pool,
                source,
                formats,
                topic,
                publishes=publishes,
                commands=names.control.removesuffix("+"),
                retained=partial(retained, config),
                adapters=adapters_of(config, pipeline, in_foreground=not publishes),
            )
            made[ref.pipeline] = handler
        return handler

    return load


class WithAdapters:
    """Plans with lifecycle adapters that are objects of this process."""

    def __init__(self, plans: Catalogue, adapters: Sequence[Any]) -> None:
        self._plans = plans
        self._adapters = tuple(adapters)

    def plan(
        self,
        pipeline: Pipeline,
        *,
        final_vars: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
        adapters: Sequence[Any] = (),
    ) -> Plan:
        """As the catalogue's; raises ConfigError."""
        return self._plans.plan(pipeline, final_vars=final_vars, config=config, adapters=(*adapters, *self._adapters))


def worker_loader(argument: bytes) -> HandlerLoader:
    """The same in a worker process, which reads the configuration anew and compiles every plan it may need."""
    from fp_events import config as configuration

    from .values import pickling

    given = json.loads(argument)
    config = configuration.load(
        given["root"],
        environment=given["environment"],
        overrides=given["overrides"],
        snapshot=given.get("snapshot"),
    )
    plans = catalogue(config)
    formats = pickling(plans.module) if given.get("values") == "pickle" else codecs
    pool = Pool()
    at_end_of_process(pool.close_process)
    load = handler_loader(config, plans, publishes=given["publishes"], formats=formats, pool=pool)
    for name in given["pipelines"]:
        load(PlanRef(name))
    return opening(load)


def make_executor(
    spec: ExecutorSpec,
    config: Config,
    load: HandlerLoader,
    *,
    pipelines: Sequence[str],
    publishes: bool = True,
    values: Elsewhere = "json",
    on_blocked: Callable[[str, float], None] | None = None,
    on_link: Callable[[str], None] | None = None,
) -> Executor:
    """The executor of a spec; `pipelines` are those that use it, `publishes` is as in `handler_loader`.

    `values`: how inputs and outputs travel to processes of ours.
    """
    if spec.type == "local":
        from fp_events.executors.local import LocalExecutor

        return LocalExecutor(load, on_blocked=on_blocked)
    if spec.type == "threadpool":
        from fp_events.executors.threadpool import ThreadpoolExecutor

        return ThreadpoolExecutor(opening(load), spec.max_workers)
    if spec.type == "rq":
        from fp_events.executors.rq import RqExecutor

        hide_password(spec.url)
        return RqExecutor(
            spec.url,
            spec.queue,
            project=config.name,
            owner=names_of(config).client_id,
            max_workers=spec.max_workers,
            on_link=on_link,
        )
    if spec.type in ("ray", "dask"):
        from .clusters import cluster_executor

        return cluster_executor(spec, config, publishes=publishes, on_link=on_link)
    from fp_events.executors.processpool import ProcesspoolExecutor

    argument = {
        "root": config.source,
        "snapshot": config.root,
        "environment": config.environment,
        "overrides": config.overrides,
        "pipelines": list(pipelines),
        "publishes": publishes,
        "values": values,
    }
    return ProcesspoolExecutor(f"{__name__}:worker_loader", json.dumps(argument).encode(), spec.max_workers)


def make_ledger(config: Config) -> tuple[Ledger, Path | None]:
    """The ledger and its file."""
    path = config.ledger_file
    if path is None:
        from fp_events.ledgers.memory import MemoryLedger

        return MemoryLedger(), None
    from fp_events.ledgers.sqlite import SqliteLedger

    return SqliteLedger(path, synchronous=config.ledger.synchronous), path


def broker_address(config: Config) -> ConnectOptions:
    """How to reach the project's broker; the embedded one only while it runs. Raises BrokerUnavailable."""
    from fp_events.config import connect_options

    if config.mqtt.url != "embedded":
        return connect_options(config)
    from fp_events.brokers.address import read_address

    found = read_address(folder_of(config))
    if found is None:
        raise BrokerUnavailable(
            "the embedded broker is not running", where="mqtt.url: embedded", mend="start it with `fp-events serve`"
        )
    options = connect_options(config, host=found.host, port=found.port)
    return options if found.durable else replace(options, protocol=found.protocol)
