"""All keys of FlowerPower's guide in one project: after the migration each has the value that it had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fp_events import config

from . import projects
from .conftest import Program

PROJECT = """\
name: my_data_project
job_queue: {type: rq, redis_host: localhost, redis_port: 6379}
adapter:
  hamilton_tracker: {username: user@example.com, api_url: "https://hamilton.example.com/api",
                     ui_url: "https://hamilton.example.com", api_key: "${TRACKER_KEY:-none}", verify: true}
  mlflow: {tracking_uri: "http://localhost:5000", registry_uri: "http://localhost:5001", artifact_location: "s3://kept"}
  opentelemetry: {host: collector.example, port: 4317}
  ray: {ray_init_config: {address: auto}, shutdown_ray_on_completion: true}
"""
PIPELINE = """\
run:
  inputs: {user_id: 123, target_date: "2024-01-15"}
  final_vars: [final_output, validation_summary]
  config: {data_version: v2}
  cache: {recompute: [raw_data]}
  with_adapter: {hamilton_tracker: true, mlflow: true, opentelemetry: true, progressbar: true, ray: true}
  executor: {type: ray, max_workers: 3, num_cpus: 2}
  log_level: INFO
  max_retries: 2
  retry_delay: 10.0
  jitter_factor: 0.2
  retry_exceptions: [ConnectionError, TransientDatabaseError]
schedule:
  cron: {minute: "0", hour: "3", day_of_week: mon-fri}
params:
  data_path: s3://bucket/latest.parquet
  processing_options: {filter_threshold: 0.95, enable: true}
adapter:
  hamilton_tracker: {project_id: 42, dag_name: Daily, tags: {owner: data, priority: high},
                     capture_data_statistics: false, max_list_length_capture: 20, max_dict_length_capture: 30}
  mlflow: {experiment_name: churn, run_name: "daily_{timestamp:%Y%m%d_%H%M%S}", tags: {version: "1.2.0"}}
"""
MODULE = '''
class TransientDatabaseError(Exception):
    """Goes by itself."""


def raw_data(data_path: str, user_id: int, target_date: str) -> str:
    return f"{data_path} {user_id} {target_date}"


def final_output(raw_data: str, processing_options: dict) -> str:
    return raw_data


def validation_summary(raw_data: str) -> int:
    return len(raw_data)
'''


def test_every_key_of_the_guide_has_its_value(tmp_path: Path, program: Program) -> None:
    """Under its name, but for the job queue, of which the report says what there is instead."""
    files = {"conf/project.yml": PROJECT, "conf/pipelines/guide.yml": PIPELINE, "pipelines/guide.py": MODULE}

    told = program("migrate", projects.write(files, tmp_path / "old"), "--json").json

    new = tmp_path / "old-fp-events"
    written: dict[str, Any] = yaml.safe_load(PIPELINE)
    assert written == yaml.safe_load((new / "conf/pipelines/guide.yml").read_text())
    expected = {name: value for name, value in yaml.safe_load(PROJECT).items() if name != "job_queue"}
    assert expected == yaml.safe_load((new / "conf/project.yml").read_text())
    assert {"job_queue.type"} == {change["key"] for change in told["changes"] if change["kind"] == "dropped"}
    assert [] == [change for change in told["changes"] if change["kind"] == "todo"]
    guide = config.load(new, environ={}).pipelines["guide"]
    assert guide.executor is not None
    assert ("ray", 3, 2) == (guide.executor.type, guide.executor.max_workers, guide.executor.num_cpus)
    assert (2, 10.0, 0.2) == (guide.retry.max_retries, guide.retry.retry_delay, guide.retry.jitter_factor)
    assert ("INFO", ("final_output", "validation_summary")) == (guide.log_level, guide.final_vars)
