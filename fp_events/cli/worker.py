"""`worker rq`: processes that take runs from the daemon through Redis."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fp_events.domain.errors import ConfigError, UsageError

from .arguments import LevelOption
from .invocation import Invocation
from .output import note
from .texts import plural

if TYPE_CHECKING:
    from fp_events.config import Config


def rq(
    context: typer.Context,
    num_workers: Annotated[
        int, typer.Option("--num-workers", min=1, help="Processes; one that is killed is started again.")
    ] = 1,
    queue_names: Annotated[
        str | None, typer.Option("--queue-names", help="Which queues, by commas; default: all that the project names.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Begins the workers' names; default: the host's name.")] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Detach; the log goes to .fp-events/worker-NAME.log.")
    ] = False,
    log_level: LevelOption = None,
) -> None:
    """Run pipelines whose `executor` is `rq`, until SIGTERM or Ctrl-C; a run under way is finished first."""
    invocation: Invocation = context.obj
    config = invocation.config()
    url, queues = _queues(config, queue_names)
    name = name or socket.gethostname()
    level = log_level or config.log.level
    from fp_events.executors.rq_worker import check_redis, keep, serve

    command = partial(_command, config, queues=queues, level=level)
    if background:
        check_redis(url)
        _detach(config, command(name=name, count=num_workers), name, num_workers)
    elif num_workers > 1:
        check_redis(url)
        raise typer.Exit(keep([command(name=f"{name}-{number}", count=1) for number in range(1, num_workers + 1)]))
    else:
        from fp_events.app.working import WorkerPlans

        plans = partial(WorkerPlans, config)
        raise typer.Exit(serve(url, queues, name=name, project=config.name, plans=plans, level=level))


def _queues(config: Config, asked: str | None) -> tuple[str, list[str]]:
    """The Redis and the queues to serve; raises ConfigError, UsageError."""
    from fp_events.app.building import check

    errors = [problem for problem in check(config) if not problem.warning]
    if errors:
        raise ConfigError.of(errors)
    used = [p.executor for p in config.pipelines.values() if p.executor is not None and p.executor.type == "rq"]
    if not used:
        raise ConfigError(
            "no pipeline of this project runs on RQ workers", mend="say `run: {executor: rq}` in conf/project.yml"
        )
    known = dict.fromkeys(spec.queue for spec in used)
    queues = [part.strip() for part in asked.split(",")] if asked else list(known)
    for queue in queues:
        if queue not in known:
            raise UsageError(f"no pipeline uses the queue '{queue}'", mend=f"known here: {', '.join(known)}")
    urls = {spec.url for spec in used if spec.queue in queues}
    if len(urls) > 1:
        raise UsageError("these queues are in different Redis servers", mend="name those of one with --queue-names")
    return urls.pop(), queues


def _command(config: Config, *, name: str, count: int, queues: Sequence[str], level: str) -> list[str]:
    environment = ["--env", config.environment] if config.environment else []
    return [
        *(sys.executable, "-m", "fp_events.cli", "--project", config.source, *environment, "worker", "rq"),
        *("--name", name, "--num-workers", str(count), "--queue-names", ",".join(queues), "--log-level", level),
    ]


def _detach(config: Config, command: Sequence[str], name: str, count: int) -> None:
    folder = config.state_path(".fp-events")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / f"worker-{Path(name).name}.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    print(process.pid)
    note(f"{plural(count, 'worker')} in the background; the log is {log}; `kill {process.pid}` ends them")
