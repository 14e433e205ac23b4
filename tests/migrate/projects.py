"""FlowerPower projects of each layout, as that version's commands and templates make them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Versions 0.3 to 0.5: one file for all pipelines, one for schedules, one for the tracker.
EARLY = {
    "conf/pipeline.yml": """\
path: pipelines
params:
  spend:
    average:
      days: 3
    total:
      factor: 2
run:
  spend:
    dev: {inputs: {values: [1, 2, 3]}, final_vars: [average], with_tracker: false}
    prod: {inputs: {values: [10, 20, 30, 40]}, final_vars: [average, total], with_tracker: true}
""",
    "conf/scheduler.yml": """\
data_store: {type: sqlalchemy, url: "postgresql+asyncpg://edge:edge@postgres/flowerpower"}
event_broker: {type: mqtt, host: broker.example, port: 1884, username: edge, password: secret-word}
cleanup_interval: {unit: minutes, value: 15}
pipeline:
  spend:
    type: cron
    crontab: "*/5 * * * *"
    timezone: Europe/Berlin
    start_time: 2024-05-01 08:00:00
""",
    "conf/tracker.yml": """\
username: someone@example.com
api_url: http://tracker.example:8241
ui_url: http://localhost:8242
api_key: secret-key
pipeline:
  spend: {project_id: 7, dag_name: spend_daily, tags: {environment: dev}}
""",
    "pipelines/spend.py": '''\
# FlowerPower pipeline spend.py
# Created on 2024-05-16


from hamilton.function_modifiers import parameterize
from flowerpower.cfg import Config
from pathlib import Path

PARAMS = Config(Path(__file__).parents[1]).pipeline_params.spend


@parameterize(**PARAMS.average)
def average(values: list, days: int) -> float:
    """Of the last days."""
    return sum(values[-days:]) / days


@parameterize(**PARAMS["total"])
def total(values: list, factor: int) -> int:
    """All of them, scaled."""
    return sum(values) * factor
''',
}

#: Versions 0.6 to 0.9: worker, tracker and OpenTelemetry in the project's file, triggers with all their fields.
MIDDLE = {
    "conf/project.yml": """\
name: Plant Data
open_telemetry: {host: collector, port: 6831}
tracker: {api_key: null, api_url: 'http://localhost:8241', ui_url: 'http://localhost:8242', username: edge}
worker:
  cleanup_interval: 300
  data_store: {type: memory}
  event_broker: {type: local}
  max_concurrent_jobs: 10
""",
    "conf/pipelines/report.yml": """\
h_params: {}
params: {}
run:
  config: {}
  executor: threadpool
  final_vars: [report]
  inputs: {line: '7', unused: 1}
  with_opentelemetry: true
  with_progressbar: false
  with_tracker: true
schedule:
  run:
    coalesce: latest
    conflict_policy: do_nothing
    executor: null
    id_: shift
    max_jitter: null
    max_running_jobs: 1
    misfire_grace_time: 60
    paused: true
  trigger:
    calendar: {days: null, end_date: null, hour: null, minute: null, months: null, second: null,
               start_date: null, timezone: null, weeks: null, years: null}
    cron: {crontab: null, day: null, day_of_week: mon-fri, end_time: null, hour: 6, minute: 0, month: null,
           second: null, start_time: null, timezone: null, week: null, year: null}
    date: {run_time: null}
    interval: {days: null, end_time: null, hours: null, microseconds: null, minutes: null, seconds: null,
               start_time: null, weeks: null}
    type_: cron
tracker: {dag_name: null, project_id: 3, tags: {owner: press}, version: null}
""",
    "pipelines/report.py": '''\
# FlowerPower pipeline report.py

from hamilton.function_modifiers import parameterize
from pathlib import Path

from flowerpower.cfg import Config

PARAMS = Config.load(
    Path(__file__).parents[1], pipeline_name="report"
).pipeline.h_params


def report(line: str) -> str:
    """What a line made."""
    return f"line {line}"
''',
    "hooks/report/hook.py": "def config(payload: bytes, topic: str) -> dict:\n    return {}\n",
}

#: Versions 0.10 and 0.11: job queue, adapters, schedules of one line; and the keys of the guide.
QUEUE = {
    "conf/project.yml": """\
name: my_data_project
job_queue:
  type: rq
  num_workers: 4
  backend: {type: redis, host: redis.example, port: 6379, database: 1, password: secret-word, queues: [high, low]}
adapter:
  hamilton_tracker: {username: user@example.com, api_url: https://hamilton.example.com/api, api_key: secret-key,
                     ui_url: 'http://localhost:8242', verify: true}
  mlflow: {tracking_uri: http://localhost:5000}
  opentelemetry: {host: localhost, port: 6831}
  ray: {ray_init_config: null, shutdown_ray_on_completion: false}
""",
    "conf/pipelines/my_data_pipeline.yml": """\
run:
  inputs:
  final_vars:
    - final_output
    - transformed_data
  config:
    data_processing_mode: strict
  with_adapter: {hamilton_tracker: false, mlflow: false, progressbar: false, opentelemetry: false}
  executor: {type: local, max_workers: 40, num_cpus: 8}
  log_level: INFO
  max_retries: 2
  retry_delay: 10.0
  jitter_factor: 0.2
  retry_exceptions: ["ConnectionError", "TransientDatabaseError"]
schedule:
  cron: "0 5 * * *"
params:
  data: [1, 2, 3]
  scale_factor: 1_000
  on: yes
  since: 2024-01-31
  model_config: {type: linear, fit_intercept: true}
""",
    "pipelines/my_data_pipeline.py": '''\
# FlowerPower pipeline my_data_pipeline.py

from pathlib import Path

from flowerpower.cfg import Config

PARAMS = Config.load(Path(__file__).parents[1], pipeline_name="my_data_pipeline").pipeline.h_params


class TransientDatabaseError(Exception):
    """The database is away for a moment."""


def transformed_data(data: list, scale_factor: int) -> list:
    """Each of them, scaled."""
    return [value * scale_factor for value in data]


def final_output(transformed_data: list, model_config: dict, since: str) -> dict:
    """The end of it."""
    return {"sum": sum(transformed_data), "model": model_config["type"], "since": since}
''',
}

#: Versions 0.31 and later: no job queue, retries in a block of their own, variables.
TODAY = {
    "conf/project.yml": """\
name: hello
hooks_dir: hooks
adapter:
  hamilton_tracker: {api_key: '${TRACKER_KEY}', api_url: 'http://localhost:8241', ui_url: 'http://localhost:8242',
                     username: null, verify: false}
  mlflow: {artifact_location: null, registry_uri: null, tracking_uri: null}
  ray: {ray_init_config: null, shutdown_ray_on_completion: false}
""",
    "conf/pipelines/reports/daily-sum.yaml": """\
adapter:
  hamilton_tracker: {capture_data_statistics: true, dag_name: null, max_dict_length_capture: 10,
                     max_list_length_capture: 50, project_id: null, tags: {}}
params:
  mean: {window: 2}
  spread: {window: 3}
  limit: ${LIMIT:-4}
run:
  adapter: null
  additional_modules: [helpers.extra]
  async_driver: null
  cache: false
  config: {}
  executor: {max_workers: 60, num_cpus: 12, type: processpool}
  final_vars: []
  inputs: {values: [1, 2, 3, 6]}
  log_level: DEBUG
  on_failure: null
  on_success: null
  reload: false
  retry: {jitter_factor: 0.1, max_retries: 3, retry_delay: 1, retry_exceptions: [Exception]}
  with_adapter: {future: true, hamilton_tracker: false, mlflow: false, progressbar: false, ray: false}
name: reports.daily-sum
""",
    "pipelines/reports/daily_sum.py": '''\
# FlowerPower pipeline daily_sum.py

from pathlib import Path

from hamilton.function_modifiers import parameterize

from flowerpower.cfg import Config


def _resolve_base_dir() -> Path:
    return Path(__file__).resolve().parents[2]


PARAMS = Config.load(_resolve_base_dir(), pipeline_name="reports.daily-sum").pipeline.h_params


@parameterize(**PARAMS.mean)
def mean(values: list, window: int) -> float:
    """Of the last ones."""
    return sum(values[-window:]) / window


@parameterize(**PARAMS.spread)
def spread(values: list, window: int) -> int:
    """Between the largest and the smallest of the last ones."""
    return max(values[-window:]) - min(values[-window:])


def high(mean: float, limit: int) -> bool:
    """Whether it is too much."""
    return mean > limit
''',
}

#: flowerpower-mqtt 0.2: topics to pipelines in a file of its own.
PLUGIN = {
    "conf/project.yml": "name: sensors\n",
    "conf/pipelines/temperature.yml": "run: {final_vars: [reading]}\n",
    "conf/pipelines/alert.yml": "run: {final_vars: [told]}\n",
    "pipelines/temperature.py": '''\
from units import kelvin


def reading(mqtt_message: dict, mqtt_topic: str, execution_timestamp: str) -> dict:
    """The reading, and where it came from."""
    return {"from": mqtt_topic, "kelvin": kelvin(mqtt_message["celsius"]), "in": execution_timestamp[:4]}
''',
    "pipelines/units.py": '''\
def kelvin(celsius: float) -> float:
    """Degrees above the lowest there is."""
    return celsius + 273.15
''',
    "pipelines/alert.py": '''\
from datetime import datetime


def told(mqtt_message: dict, mqtt_qos: int, execution_timestamp: datetime, execution_mode: str) -> str:
    """One line."""
    return f"{execution_mode} {mqtt_qos} {mqtt_message['text']} {execution_timestamp:%Y}"
''',
    "mqtt_config.yml": """\
mqtt:
  broker: broker.example
  port: 1883
  keepalive: 60
  client_id: flowerpower_mqtt_client
  username: edge
  password: secret-word
  reconnect_retries: 5
  reconnect_delay: 5
subscriptions:
  - topic: sensors/+/temperature
    pipeline: temperature
    qos: 1
    execution_mode: async
  - topic: alerts/critical
    pipeline: alert
    qos: 2
    execution_mode: sync
    deserialization_format: json
  - topic: nobody/knows
    pipeline: missing
job_queue: {enabled: true, type: rq, redis_url: "redis://localhost:6379", queue_name: mqtt_pipelines, worker_count: 4}
base_dir: /srv/flowerpower
log_level: INFO
""",
}

#: The MQTT plugin of versions 0.10 and 0.11; which pipeline runs was said on the command line.
BUILT_IN = {
    "conf/project.yml": """\
name: sensors
mqtt: {host: broker.example, port: 9001, transport: websockets, topic: plant/+/level, clean_session: true,
       client_id: tank, client_id_suffix: '1', username: null, password: null, max_reconnect_count: 5}
""",
    "hooks/tank/hook.py": '''\
def unit_of(payload: bytes, topic: str) -> dict:
    """Which unit a message has."""
    return {"unit": "inch"} if b"inch" in payload else {}
''',
    "conf/pipelines/tank.yml": "run: {final_vars: [level]}\n",
    "pipelines/tank.py": '''\
import json

from hamilton.function_modifiers import config


@config.when(unit="inch")
def level__inch(payload: bytes, topic: str) -> str:
    """The level, and which tank."""
    return f"{topic.split('/')[1]} {json.loads(payload)['inch'] * 25.4}"


@config.when_not(unit="inch")
def level__mm(payload: bytes, topic: str) -> str:
    """The level, and which tank."""
    return f"{topic.split('/')[1]} {json.loads(payload)['mm']}"
''',
}


def write(files: Mapping[str, str], folder: Path) -> Path:
    """Put a project's files into a folder; the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
