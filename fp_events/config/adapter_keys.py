"""The keys of ``adapter``: FlowerPower's, in ``project.yml`` as defaults and in a pipeline's file over them."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from fp_events.domain.adapters import check_run_name

from .keys import Block, setting
from .kinds import ANYTHING, FLAG, TEXT, Kind, checked, expected, matching, one_of, refuse, secret, whole
from .values import Substituted, describe, typed

_URL: Final = re.compile(r"https?://[^\s/@]+(/[^\s@]*)?")
_HOST = matching(r"[A-Za-z0-9_.-]+|\[[0-9a-fA-F:]+\]", "a host such as localhost")


def _check_url(text: str) -> None:
    if not _URL.fullmatch(text):
        raise ValueError("expected a URL such as http://localhost:8241, without a user name")


def _verify(value: object) -> bool | str:
    found = typed(value)
    if isinstance(found, bool) or (isinstance(found, str) and found):
        return str(found) if isinstance(found, str) else found
    return expected("true, false or a PEM file of authorities", value)


def _tag(value: object) -> str:
    found = typed(value)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str | int | float):
        return str(value) if isinstance(value, Substituted) else str(found)
    return refuse(f"expected text or a number, got {describe(value)}")


_TAGS = dict[Annotated[str, TEXT], Annotated[str, Kind("text", _tag)]]
_VERIFY = Kind("true, false or file", _verify, lambda found: "true" if found is True else str(found).lower())
_CHECKED_URL = checked("URL", _check_url)


class HamiltonTrackerSettings(Block):
    """Runs and nodes in Hamilton UI."""

    username: Annotated[str, TEXT] | None = setting(None, "User of Hamilton UI; must be given where the adapter is on.")
    api_url: Annotated[str, _CHECKED_URL] = setting("http://localhost:8241", "Where Hamilton UI takes what is tracked.")
    ui_url: Annotated[str, _CHECKED_URL] | None = setting(
        None, "Where people look at it, for links in the log.", shown="`api_url`"
    )
    api_key: Annotated[str, secret()] | None = setting(
        None,
        "Key of that user. Best left to `FP_EVENTS_ADAPTER__HAMILTON_TRACKER__API_KEY` or `${VAR}`.",
        secret=True,
    )
    api_key_file: Annotated[str, TEXT] | None = setting(
        None, "File whose first line is the key; wins over `api_key`, read at the start."
    )
    verify: Annotated[bool | str, _VERIFY] = setting(
        True, "Whether the server's certificate is checked, or the PEM file of the authorities to trust."
    )
    project_id: Annotated[int, whole(1)] | None = setting(
        None, "Project in Hamilton UI; must be given where the adapter is on."
    )
    dag_name: Annotated[str, TEXT] | None = setting(None, "The graph's name there.", shown="the pipeline's name")
    tags: _TAGS = setting({}, "Tags of the runs.", shown="none")
    capture_data_statistics: Annotated[bool, FLAG] = setting(True, "Whether values are summed up.")
    max_list_length_capture: Annotated[int, whole(0)] = setting(50, "Items of a list that are kept.")
    max_dict_length_capture: Annotated[int, whole(0)] = setting(100, "Entries of a dict that are kept.")


class MlflowSettings(Block):
    """Runs in MLflow."""

    tracking_uri: Annotated[str, TEXT] | None = setting(
        None,
        "Tracking server, database or folder; a folder or SQLite file without a leading slash is the project's.",
        shown="MLflow's own: `MLFLOW_TRACKING_URI`, else a file in the working directory",
    )
    registry_uri: Annotated[str, TEXT] | None = setting(None, "Registry of models.", shown="`tracking_uri`")
    artifact_location: Annotated[str, TEXT] | None = setting(
        None, "Where artifacts of an experiment go that does not exist yet.", shown="the tracking server's choice"
    )
    experiment_name: Annotated[str, TEXT] | None = setting(
        None, "Experiment; it is made where there is none.", shown="the pipeline's name"
    )
    experiment_description: Annotated[str, TEXT] | None = setting(None, "Description of the experiment.")
    experiment_tags: _TAGS = setting({}, "Tags of the experiment.", shown="none")
    run_name: Annotated[str, checked("run name", check_run_name)] = setting(
        "{pipeline_name}",
        "Name of a run; placeholders `{pipeline_name}`, `{timestamp}`, `{timestamp:%Y%m%d_%H%M%S}`, `{run_id}` and "
        "`{attempt}`.",
    )
    run_description: Annotated[str, TEXT] | None = setting(None, "Description of the runs.")
    tags: _TAGS = setting({}, "Tags of the runs.", shown="none")
    autolog: Annotated[bool, FLAG] = setting(
        False, "Whether `mlflow.autolog()` is on in the process: what libraries log belongs to the run."
    )


class OpenTelemetrySettings(Block):
    """Spans, sent by OTLP."""

    host: Annotated[str, _HOST] = setting("localhost", "The collector's host.")
    port: Annotated[int, whole(1, 65535)] | None = setting(
        None, "Its port; 4317 is gRPC's and 4318 HTTP's by convention.", shown="4317 for `grpc`, else 4318"
    )
    protocol: Annotated[Literal["http", "grpc"], one_of("http", "grpc")] | None = setting(
        None, "How spans are sent.", shown="`grpc` for port 4317, else `http`"
    )
    insecure: Annotated[bool, FLAG] = setting(True, "Whether host and port are reached without TLS.")
    endpoint: Annotated[str, _CHECKED_URL] | None = setting(
        None, "URL in place of host, port and `insecure`, for HTTP with its path.", shown="made of them"
    )
    service_name: Annotated[str, TEXT] | None = setting(
        None, "`service.name` of the spans.", shown="the project's name"
    )


class RayAdapterSettings(Block):
    """Nodes on Ray."""

    ray_init_config: dict[Annotated[str, TEXT], Annotated[Any, ANYTHING]] = setting(
        {}, "Arguments of `ray.init()`, such as `{address: auto}`.", shown="none: a Ray of our own, on this machine"
    )
    shutdown_ray_on_completion: Annotated[bool, FLAG] = setting(
        False, "Whether Ray is left, and one of our own ended, when no run uses it any more."
    )


class AdapterSettings(Block):
    """What the adapters need; `run.with_adapter` turns them on."""

    hamilton_tracker: HamiltonTrackerSettings = setting(HamiltonTrackerSettings(), "Runs and nodes in Hamilton UI.")
    mlflow: MlflowSettings = setting(MlflowSettings(), "Runs in MLflow.")
    opentelemetry: OpenTelemetrySettings = setting(OpenTelemetrySettings(), "Spans, sent by OTLP.")
    ray: RayAdapterSettings = setting(RayAdapterSettings(), "Nodes on Ray.")


class WithAdapterSettings(Block):
    """Which adapters runs have."""

    unavailable: ClassVar = {"tracker": "`tracker` is `hamilton_tracker` in a file; rename it"}

    hamilton_tracker: Annotated[bool, FLAG] | None = setting(False, "Runs and nodes in Hamilton UI.")
    mlflow: Annotated[bool, FLAG] | None = setting(False, "Runs in MLflow.")
    opentelemetry: Annotated[bool, FLAG] | None = setting(False, "Spans, sent by OTLP.")
    progressbar: Annotated[bool, FLAG] | None = setting(False, "A bar of nodes on the terminal of `fp-events run`.")
    ray: Annotated[bool, FLAG] | None = setting(False, "Nodes on Ray.")
