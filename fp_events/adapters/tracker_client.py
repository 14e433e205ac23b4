"""Hamilton UI's server, told from a thread of its own: what `HamiltonTracker` says is said when the server listens."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import count
from time import monotonic
from typing import Any, Final

import requests
import urllib3
from hamilton_sdk.api.clients import HamiltonClient, create_batch
from hamilton_sdk.tracking.utils import make_json_safe

from fp_events.domain.adapters import RUNNING, without_resources

from .sender import Sender

_log = logging.getLogger("fp_events.adapters")

#: Seconds for one request.
_TIMEOUT: Final = 10
#: Updates of one run that are sent together, and seconds after which fewer are.
_BATCH: Final = 100
_PAUSE: Final = 2.0


#: The package that a plan's modules are imported under, whose number is a process's own.
_GENERATION: Final = re.compile(r"\b_fp_events_\d+\.")


def _public(value: Any) -> Any:
    """`value` with names of modules as the user knows them."""
    if isinstance(value, str):
        return _GENERATION.sub("", value)
    if isinstance(value, Mapping):
        return {name: _public(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_public(item) for item in value]
    return value


@dataclass(slots=True)
class _Template:
    """A graph that runs belong to."""

    asked: Mapping[str, Any]
    #: The server's id, once it is known.
    id: int | None = None


@dataclass(slots=True)
class _Run:
    """A run that goes on."""

    #: The server's id; None where it could not be made.
    id: int | None = None
    updates: list[dict[str, Any]] = field(default_factory=list)
    sent_at: float = field(default_factory=monotonic)


class TrackerClient(HamiltonClient):
    """Takes what the tracker says at once, under ids of its own, and passes it on with the server's."""

    def __init__(self, settings: Mapping[str, Any], sender: Sender) -> None:
        self._base = f"{settings['api_url'].rstrip('/')}/api/v1"
        self._project = settings["project_id"]
        shown = settings["ui_url"] or settings["api_url"]
        self._shown = f"{shown.rstrip('/')}/dashboard/project/{self._project}"
        self._sender = sender
        self._session = requests.Session()
        self._verify = settings["verify"]
        if self._verify is False:
            # It was asked for: no warning at each request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._session.headers.update(
            {"x-api-user": settings["username"], **({"x-api-key": key} if (key := settings["api_key"]) else {})}
        )
        self._is_known = False
        self._numbers = count(1)
        self._templates: dict[int, _Template] = {}
        self._runs: dict[int, _Run] = {}

    def validate_auth(self) -> None:
        """Done before the first run is told."""

    def project_exists(self, project_id: int) -> bool:
        """Taken for granted until then."""
        return True

    def register_dag_template_if_not_exists(self, **asked: Any) -> int:
        """A graph; the server is told with the first run of it."""
        number = next(self._numbers)
        self._templates[number] = _Template(asked)
        return number

    def create_and_start_dag_run(
        self, dag_template_id: int, tags: Mapping[str, str], inputs: Mapping[str, Any], outputs: Sequence[str]
    ) -> int:
        """A run begins."""
        number = next(self._numbers)
        run = self._runs[number] = _Run()
        body = {
            "run_start_time": datetime.now(UTC).isoformat(),
            "tags": dict(tags),
            "inputs": make_json_safe(without_resources(inputs)),
            "outputs": list(outputs),
            "run_status": "RUNNING",
        }
        running = RUNNING.get()
        run_id = "" if running is None else running.run_id
        self._sender.put(partial(self._begin, run, run_id, self._templates[dag_template_id], body))
        return number

    def update_tasks(
        self,
        dag_run_id: int,
        attributes: Sequence[Any],
        task_updates: Sequence[Any],
        in_samples: Sequence[bool] | None = None,
    ) -> None:
        """Nodes of a run have begun or ended."""
        run = self._runs[dag_run_id]
        kept = [True] * len(task_updates) if in_samples is None else in_samples
        update = {
            "dag_run_id": dag_run_id,
            "attributes": make_json_safe([one for one, keep in zip(attributes, kept, strict=False) if keep]),
            "task_updates": make_json_safe([one for one, keep in zip(task_updates, kept, strict=False) if keep]),
        }
        self._sender.put(partial(self._update, run, dag_run_id, update))

    def log_dag_run_end(self, dag_run_id: int, status: str) -> None:
        """A run has ended."""
        run = self._runs.pop(dag_run_id)
        body = {"run_status": status, "run_end_time": datetime.now(UTC).isoformat()}
        self._sender.put(partial(self._end, run, dag_run_id, body))

    def _begin(self, run: _Run, run_id: str, template: _Template, body: Mapping[str, Any]) -> bool:
        if not self._is_known:
            self._call("GET", "phone_home")
            self._call("GET", f"projects/{self._project}")
            self._is_known = True
        if template.id is None:
            template.id = self._template(template.asked)
        run.id = self._call("POST", "dag_runs", params={"dag_template_id": template.id}, json=body)["id"]
        _log.info("run_tracked", extra={"run_id": run_id, "url": f"{self._shown}/runs/{run.id}"})
        return True

    def _template(self, asked: Mapping[str, Any]) -> int:
        """The server's id of a graph, which it is told where it does not know it."""
        nodes, artifacts = _public(asked["nodes"]), _public(asked["code_artifacts"])
        # In place of the SDK's, which differs from process to process with the names of modules.
        dag_hash = sha256(json.dumps(nodes, sort_keys=True, default=str).encode()).hexdigest()
        names = {"project_id": self._project, "dag_hash": dag_hash, "code_hash": asked["code_hash"]}
        known = self._call("GET", "dag_templates/exists/", params={**names, "dag_name": asked["name"]})
        if known is not None:
            return int(known["id"])
        vcs = asked["vcs_info"]
        body = {
            "name": asked["name"],
            "template_type": "HAMILTON",
            "config": make_json_safe(asked["config"]),
            "dag_hash": dag_hash,
            "tags": make_json_safe(asked["tags"]),
            "nodes": nodes,
            "code_artifacts": artifacts,
            "code_log": {"files": asked["code"]},
            "code_hash": asked["code_hash"],
            "code_version_info_type": "git",
            "code_version_info": {
                "git_hash": vcs.commit_hash,
                "git_repo": vcs.repository,
                "git_branch": vcs.branch,
            },
            "code_version_info_schema": 1,
        }
        return int(self._call("POST", "dag_templates", params={"project_id": self._project}, json=body)["id"])

    def _update(self, run: _Run, number: int, update: dict[str, Any]) -> bool:
        run.updates.append(update)
        is_due = len(run.updates) >= _BATCH or monotonic() - run.sent_at >= _PAUSE
        return is_due and self._send(run, number)

    def _send(self, run: _Run, number: int) -> bool:
        waiting, run.updates, run.sent_at = run.updates, [], monotonic()
        if run.id is None or not waiting:
            return False
        attributes, updates = create_batch(waiting, number)
        body = {"attributes": attributes, "task_updates": updates}
        self._call("PUT", "dag_runs_bulk", params={"dag_run_id": run.id}, json=body)
        return True

    def _end(self, run: _Run, number: int, body: Mapping[str, Any]) -> bool:
        self._send(run, number)
        if run.id is None:
            return False
        self._call("PUT", f"dag_runs/{run.id}/", json=body)
        return True

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        # Given with each request: REQUESTS_CA_BUNDLE outranks what the session says.
        answer = self._session.request(
            method, f"{self._base}/{path}", timeout=_TIMEOUT, verify=self._verify, **arguments
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None
