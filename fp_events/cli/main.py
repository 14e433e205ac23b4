"""The program `fp-events`: its commands, its global options, its exit codes.

0   done, drained
1   the run failed, or a check of `doctor`
64  the command line is wrong
69  the broker, the daemon or Redis does not answer
70  a defect of this program
74  a file or folder cannot be used
75  another daemon holds the ledger
78  configuration or pipeline code is wrong
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import (
    cache,
    control,
    daemon,
    demo,
    dlq,
    doctor,
    foreground,
    graph,
    ledger,
    migrate,
    parcels,
    pipelines,
    project,
    publish,
    runs,
    runs_again,
    runs_watch,
    schedule_add,
    schedules,
    schema,
    serve,
    state,
    status,
    tap,
    top,
    trigger,
    ui,
    worker,
)
from .failures import report
from .invocation import Invocation, globals_first

_GLOBAL = "--project, --env, --by, --debug and --json may stand anywhere on the line."

app = typer.Typer(
    name="fp-events",
    help="Data pipelines on MQTT messages.",
    epilog=_GLOBAL,
    no_args_is_help=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"fp-events {version('fp-events')}")
        raise typer.Exit


@app.callback()
def _globals(
    context: typer.Context,
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            "-p",
            metavar="FOLDER|URL",
            help="The project's folder, archive or URL; default: the nearest folder upwards with conf/project.yml.",
        ),
    ] = None,
    env: Annotated[
        str | None, typer.Option(envvar="FP_EVENTS_ENV", help="Lay conf/env/ENV/ over the project's settings.")
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            envvar="FP_EVENTS_BY",
            help="How to reach the daemon: socket, mqtt (control topics), http (the project's own address), or a URL.",
        ),
    ] = "socket",
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Data pipelines on MQTT messages."""
    context.obj = Invocation(project=project, environment=env, debug=debug)
    daemon.by.set(by)
    _help_if_alone(context)


def _help_if_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        # Where Rich formats the help it is printed at once and the text is empty.
        print(context.get_help(), end="")
        raise typer.Exit


def _group(
    name: str,
    about: str,
    panel: str,
    commands: dict[str, Callable[..., Any]],
    cls: type[TyperGroup] = TyperGroup,
) -> None:
    group = typer.Typer(help=about, invoke_without_command=True, cls=cls)
    group.callback()(_help_if_alone)
    for verb, function in commands.items():
        group.command(verb)(function)
    app.add_typer(group, name=name, rich_help_panel=panel)


_START, _DAEMON, _RUNS, _PROJECT = "Start here", "Daemon", "Runs and state", "Project"

_COMMANDS: Sequence[tuple[str, dict[str, Callable[..., Any]]]] = (
    (_START, {"init": project.init, "migrate": migrate.migrate, "demo": demo.demo, "doctor": doctor.doctor}),
    (
        _PROJECT,
        {
            "new": project.new,
            "delete": project.delete,
            "check": project.check,
            "schema": schema.schema,
        },
    ),
    (
        _DAEMON,
        {
            "serve": serve.serve,
            "status": status.status,
            "top": top.top,
            "tap": tap.tap,
            "publish": publish.publish,
            "trigger": trigger.trigger,
            "pause": control.pause,
            "resume": control.resume,
            "reload": control.reload,
            "ui": ui.ui,
        },
    ),
    (_RUNS, {"run": foreground.run}),
)
for _panel, _commands in _COMMANDS:
    for _name, _function in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_function)

_group(
    "runs",
    "Runs: what ran, on what, and how it ended.",
    _RUNS,
    {
        "list": runs.list_runs,
        "show": runs.show,
        "watch": runs_watch.watch,
        "cancel": runs_again.cancel,
        "retry": runs_again.retry,
        "replay": runs_again.replay,
        "purge": runs_again.purge,
    },
)
_group(
    "dlq",
    "Dead letters: messages whose run failed. Nothing is lost: look, mend, retry.",
    _RUNS,
    {"list": dlq.list_letters, "show": dlq.show, "retry": dlq.retry, "purge": dlq.purge},
)
_group(
    "schedules",
    "Schedules: runs by the clock.",
    _RUNS,
    {
        "list": schedules.list_schedules,
        "show": schedules.show,
        "add": schedule_add.add,
        "pause": schedules.pause,
        "resume": schedules.resume,
        "remove": schedules.remove,
        "sync": schedules.sync,
    },
)
_group(
    "state",
    "State that pipelines keep by key.",
    _RUNS,
    {"list": state.list_states, "show": state.show, "reset": state.reset},
)
_group(
    "cache",
    "Values of nodes that are kept from run to run.",
    _RUNS,
    {"stats": cache.stats, "clear": cache.clear},
)
_group(
    "graph",
    "Pipelines as drawings.",
    _PROJECT,
    {"show": graph.show, "save": graph.save},
    cls=graph.GraphGroup,
)
_group(
    "pipelines",
    "The project's pipelines.",
    _PROJECT,
    {"list": pipelines.list_pipelines, "show": pipelines.show, "export": parcels.export, "import": parcels.import_},
)
_group("worker", "Workers: processes, here or elsewhere, that take runs from the daemon.", _DAEMON, {"rq": worker.rq})
_group("config", "The configuration, all levels merged.", _PROJECT, {"show": project.show_config})
_group(
    "ledger",
    "The ledger's file: look for damage, copy it, save what is left of it.",
    _RUNS,
    {"check": ledger.check, "recover": ledger.recover, "backup": ledger.backup, "vacuum": ledger.vacuum},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    front, rest = globals_first(sys.argv[1:] if arguments is None else arguments)
    try:
        result = app(args=[*front, *rest], prog_name="fp-events", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as ended:
        # Typer's answer to a reader that went away, which is no failure.
        if isinstance(ended.__context__, BrokenPipeError):
            return report(ended.__context__, debug=False)
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the outermost frame turns every error into a sentence)
        return report(error, debug="--debug" in front)
    return result if isinstance(result, int) else 0
