"""Wrong settings of adapters."""

from __future__ import annotations

from .case import ALERTS_YML, Case

A = "conf/pipelines/alerts.yml"


def _case(wrong: str, text: str, says: str) -> Case:
    """`text` goes below the pipeline's right settings."""
    return Case(wrong=wrong, files={A: ALERTS_YML + text}, says=says, code=78)


def _run(wrong: str, adapters: str, says: str, code: int) -> Case:
    arguments = ("run", "alerts", "-i", "reading=90", "-i", "line=a", "--with-adapter", adapters)
    return Case(wrong=wrong, arguments=arguments, says=says, code=code)


CASES = (
    _case(
        "an adapter that there is none of",
        "run:\n  with_adapter: {mlfow: true}\n",
        "error: conf/pipelines/alerts.yml:10: unknown key 'run.with_adapter.mlfow'; did you mean 'mlflow'?",
    ),
    _case(
        "Hamilton UI without a user",
        "run:\n  with_adapter: {hamilton_tracker: true}\nadapter:\n  hamilton_tracker: {project_id: 1}\n",
        "error: conf/pipelines/alerts.yml:10: run.with_adapter.hamilton_tracker is on, and adapter.hamilton_tracker.username is missing; give it, such as `username: me@example.com`; Hamilton UI shows both",
    ),
    _case(
        "a placeholder that there is none of, in the name of a run at MLflow",
        'adapter:\n  mlflow: {run_name: "{pipeline}_{timestamp}"}\n',
        "error: conf/pipelines/alerts.yml:10: adapter.mlflow.run_name: there is no placeholder {pipeline}; there are {pipeline_name}, {timestamp}, {run_id}, {attempt}, and {timestamp:%Y%m%d_%H%M%S}",
    ),
    _case(
        "a file with the key of Hamilton UI that is not there",
        "run:\n  with_adapter: {hamilton_tracker: true}\nadapter:\n  hamilton_tracker: {project_id: 1, username: me, api_key_file: key}\n",
        "error: conf/pipelines/alerts.yml:12: pipelines.alerts.adapter.hamilton_tracker.api_key_file: the file key cannot be used: No such file or directory; correct the path, or the file's owner and mode",
    ),
    _run(
        "`--with-adapter` that is not JSON",
        "mlflow",
        "error: --with-adapter: Expecting value: line 1 column 1 (char 0); write --with-adapter '{\"mlflow\": true}'",
        64,
    ),
    _run(
        "`--with-adapter` with an adapter that there is none of",
        '{"mlfow": true}',
        "error: --with-adapter: there is no adapter 'mlfow'; did you mean 'mlflow'?; write --with-adapter '{\"mlflow\": true}'",
        64,
    ),
    _run(
        "`--with-adapter` with Hamilton UI, which needs to know whose runs they are",
        '{"tracker": true}',
        "error: conf/pipelines/alerts.yml: the adapter 'hamilton_tracker' needs adapter.hamilton_tracker.username; give it; Hamilton UI shows it",
        78,
    ),
    Case(
        wrong="`fp-events ui` where Hamilton UI is not installed",
        arguments=("ui",),
        says="error: Hamilton UI is not installed; pip install 'fp-events[ui]'",
        code=78,
    ),
)
