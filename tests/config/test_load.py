"""What a project's files, environment and command line become."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # it ships no types
import pytest

from fp_events.domain.errors import StorageError
from fp_events.domain.pipeline import ExecutorSpec, Output, Pipeline, Trigger
from fp_events.domain.retry import RetryPolicy

from .projects import MODULE, loaded, write


def test_a_project_of_modules_alone_has_defaults(tmp_path: Path) -> None:
    """Nothing needs to be configured."""
    root = tmp_path / "My Plant"
    (root / "pipelines").mkdir(parents=True)
    (root / "pipelines/a.py").write_text(MODULE)
    (root / "pipelines/_helpers.py").write_text("")

    config = loaded(root)

    assert ("my-plant", "embedded", "fp/my-plant") == (config.name, config.mqtt.url, config.mqtt.base_topic)
    assert (config.mqtt.client_id or "").startswith("fp-my-plant-")
    assert root / ".fp-events/ledger.db" == config.ledger_file
    assert {"a": Pipeline(name="a", module="pipelines.a", where="pipelines/a.py")} == config.pipelines
    assert () == config.warnings


def test_a_pipeline_gets_what_its_file_says(tmp_path: Path) -> None:
    """Every key arrives, with lines for later messages."""
    root = write(
        tmp_path,
        a="""\
        # a comment
        triggers:
          - topic: plant/{line}/temperature
            qos: 0
            format: json
            map: {reading: payload.value, line: topic.line}
            spread: true
            retained: process
            key: "{line}"
            concurrency: 8
            identity: payload.id
            expires_after: 10m
            acknowledge: when_saved
          - {topic: other/#}
        state: {window: previous_window}
        outputs:
          - alert
          - node: mean
            topic: means/{line}
            each: true
            qos: 2
            retain: true
            expires_after: 1h
            nan: error
        run:
          inputs: {threshold: 80.0}
          final_vars: [alert]
          config: {mode: strict}
          executor: {type: threadpool, max_workers: 4}
          log_level: debug
          timeout: 1m30s
          deadline: 5m
          max_retries: 3
          retry_delay: 500ms
          jitter_factor: 0.1
          retry_backoff: exponential
          max_delay: 60
          retry_exceptions: [json.JSONDecodeError, asyncio.TimeoutError, OSError]
          on_retry: pass
          on_success: hooks.notify:succeeded
          on_failure: hooks.notify:failed
        params: {scale_factor: 1.75, model: {depth: 3}}
        """,
    )

    expected = Pipeline(
        name="a",
        module="pipelines.a",
        triggers=(
            Trigger(
                topic="plant/{line}/temperature",
                qos=0,
                format="json",
                map={"reading": "payload.value", "line": "topic.line"},
                spread=True,
                retained="process",
                key="{line}",
                concurrency=8,
                identity="payload.id",
                expires_after=600.0,
                where="conf/pipelines/a.yml:3",
            ),
            Trigger(topic="other/#", where="conf/pipelines/a.yml:14"),
        ),
        outputs=(
            Output(node="alert", where="conf/pipelines/a.yml:17"),
            Output(
                node="mean",
                topic="means/{line}",
                each=True,
                qos=2,
                retain=True,
                expires_after=3600.0,
                nan="error",
                where="conf/pipelines/a.yml:18",
            ),
        ),
        state={"window": "previous_window"},
        inputs={"threshold": 80.0},
        params={"scale_factor": 1.75, "model": {"depth": 3}},
        config={"mode": "strict"},
        final_vars=("alert",),
        executor=ExecutorSpec("threadpool", 4),
        timeout=90.0,
        deadline=300.0,
        retry=RetryPolicy(
            max_retries=3,
            retry_delay=0.5,
            jitter_factor=0.1,
            exponential=True,
            max_delay=60.0,
            retry_exceptions=("json.decoder.JSONDecodeError", "TimeoutError", "OSError"),
        ),
        on_retry="pass",
        log_level="DEBUG",
        on_success="hooks.notify:succeeded",
        on_failure="hooks.notify:failed",
        where="conf/pipelines/a.yml",
    )
    assert expected == loaded(root).pipelines["a"]


def test_a_retry_exception_matches_what_attempts_report(tmp_path: Path) -> None:
    """An alias in the file still matches the class that is raised."""
    root = write(tmp_path, a="run: {retry_exceptions: [asyncio.TimeoutError, json.JSONDecodeError]}\n")

    retry = loaded(root).pipelines["a"].retry

    assert [True, True, False] == [
        retry.retries(("builtins.TimeoutError", "builtins.OSError")),
        retry.retries(("json.decoder.JSONDecodeError", "builtins.ValueError")),
        retry.retries(("builtins.ValueError",)),
    ]


def test_empty_blocks_count_as_left_out(tmp_path: Path) -> None:
    """A block whose keys are all commented out, or a feature that is switched off, harms nothing."""
    root = write(
        tmp_path,
        project="mqtt:\njob_queue:\nadapter: {}\nrun:\n  executor:\nledger:\n  retention:\n",
        a="""\
        triggers:
        outputs:
        run:
          inputs:
          cache:
          with_adapter: {mlflow: false, opentelemetry: null}
          retry_exceptions:
        schedule: {cron: null, interval: null}
        params:
        """,
    )

    assert Pipeline(name="a", module="pipelines.a", where="conf/pipelines/a.yml") == loaded(root).pipelines["a"]


def test_yaml_is_version_1_2(tmp_path: Path) -> None:
    """`on`, `no`, dates and sexagesimals are text; anchors and merges work."""
    root = write(
        tmp_path,
        a="""\
        params:
          on: yes
          no: Off
          date: 2024-07-01
          time: 12:30:45
          octal: 0o17
          hex: 0xff
          decimal: 012
          float: 1e3
          endless: -.inf
          nothing: ~
          text: "5"
          base: &base {a: 1, b: 2}
          other:
            <<: *base
            b: 3
          both:
            <<: [{a: 7}, *base]
          again: *base
        """,
    )

    assert {
        "on": "yes",
        "no": "Off",
        "date": "2024-07-01",
        "time": "12:30:45",
        "octal": 15,
        "hex": 255,
        "decimal": 12,
        "float": 1000.0,
        "endless": -math.inf,
        "nothing": None,
        "text": "5",
        "base": {"a": 1, "b": 2},
        "other": {"a": 1, "b": 3},
        "both": {"a": 7, "b": 2},
        "again": {"a": 1, "b": 2},
    } == loaded(root).pipelines["a"].params


def test_variables_take_the_type_of_their_key(tmp_path: Path) -> None:
    """A whole unquoted reference is typed; text, quotes and mixtures stay text."""
    root = write(
        tmp_path,
        project="mqtt:\n  url: mqtt://h\n  username: ${N}\n  password: ${PIN}\n",
        a="""\
        run:
          max_retries: ${N}
          timeout: ${NOTHING:-}
          deadline: ${T:-90s}
        params:
          number: ${N}
          text: "${N}"
          mixed: ${N}5
          escaped: $${N}
          default: ${NOTHING:-x y}
          nested:
            - ${YES}
        """,
    )

    config = loaded(root, {"N": "3", "PIN": "0123", "YES": "true", "NOTHING": ""})

    pipeline = config.pipelines["a"]
    assert ("3", "0123") == (config.mqtt.username, config.mqtt.password)
    assert (3, None, 90.0) == (pipeline.retry.max_retries, pipeline.timeout, pipeline.deadline)
    assert {
        "number": 3,
        "text": "3",
        "mixed": "35",
        "escaped": "${N}",
        "default": "x y",
        "nested": [True],
    } == pipeline.params


def test_environment_variables_reach_every_level(tmp_path: Path) -> None:
    """Case does not matter, `_` stands for `-`, blocks and lists are JSON, empty is not set."""
    root = write(tmp_path, project="mqtt: {keepalive: 10s}\n", a="params: {model: {depth: 3, width: 2}}\n")
    (root / "pipelines/my-pipe.py").write_text(MODULE)

    config = loaded(
        root,
        {
            "FP_EVENTS_MQTT__URL": "mqtt://h",
            "fp_events_mqtt__client_id": "c",
            "FP_EVENTS_MQTT__KEEPALIVE": "",
            "FP_EVENTS_CONTROL__MQTT": "true",
            "FP_EVENTS_CONTROL__ALLOW": '["a"]',
            "FP_EVENTS_PIPELINES__MY_PIPE__RUN__EXECUTOR": "local",
            "FP_EVENTS_PIPELINES__A__RUN__EXECUTOR": '{"type": "processpool", "max_workers": 2}',
            "FP_EVENTS_PIPELINES__A__OUTPUTS": '["alert", {"node": "mean", "qos": 0}]',
            "FP_EVENTS_PIPELINES__A__PARAMS__MODEL__DEPTH": "5",
            "FP_EVENTS_PIPELINES__A__PARAMS__RATES": "[1, 2]",
            "FP_EVENTS_PIPELINES__A__RUN__INPUTS": '{"camelCase": null}',
            "UNRELATED": "${NOWHERE}",
        },
    )

    a = config.pipelines["a"]
    assert ("mqtt://h", "c", 10.0) == (config.mqtt.url, config.mqtt.client_id, config.mqtt.keepalive)
    assert (True, ["a"]) == (config.control.mqtt, list(config.control.allow))
    assert ExecutorSpec("local") == config.pipelines["my-pipe"].executor
    assert ExecutorSpec("processpool", 2) == a.executor
    assert ["alert", "mean"] == [output.node for output in a.outputs]
    assert {"model": {"depth": 5, "width": 2}, "rates": [1, 2]} == a.params
    assert {"camelCase": None} == a.inputs


def test_origins_name_file_and_line(tmp_path: Path) -> None:
    """Whoever wonders why a setting has its value is told who said so."""
    root = write(
        tmp_path,
        project="name: plant\nrun:\n  max_retries: 1\n",
        a="triggers:\n  - topic: x\n    qos: 0\nrun:\n  timeout: 5s\n",
        env_a="run:\n  deadline: 1m\n",
    )

    config = loaded(
        root,
        {"FP_EVENTS_ENV": "prod", "FP_EVENTS_LOG__LEVEL": "DEBUG"},
        overrides={"pipelines": {"a": {"run": {"on_retry": "pass"}}}},
    )

    origins = {
        "name": "conf/project.yml:1",
        "log.level": "environment FP_EVENTS_LOG__LEVEL",
        "log.format": "default",
        "mqtt.client_id": "default",
        "pipelines.a.run.max_retries": "conf/project.yml:3",
        "pipelines.a.run.timeout": "conf/pipelines/a.yml:5",
        "pipelines.a.run.deadline": "conf/env/prod/pipelines/a.yml:2",
        "pipelines.a.run.on_retry": "command",
        "pipelines.a.run.retry_delay": "default",
        "pipelines.a.triggers[0].qos": "conf/pipelines/a.yml:3",
        "pipelines.a.triggers[0].key": "default",
    }
    assert origins == {path: config.origin(path) for path in origins}
    shown = config.show(origins=True)
    assert {"value": 5.0, "origin": "conf/pipelines/a.yml:5"} == shown["pipelines"]["a"]["run"]["timeout"]
    assert {"value": "plant", "origin": "conf/project.yml:1"} == shown["name"]


@pytest.mark.parametrize("kind", ["memory", "zip"])
def test_a_project_may_be_on_any_filesystem(kind: str, tmp_path: Path) -> None:
    """The same files give the same pipelines wherever fsspec finds them."""
    local = write(
        tmp_path / "plant", project="run: {max_retries: 2}\n", a="outputs: [alert]\n", env_a="enabled: false\n"
    )
    files = [file for file in local.rglob("*") if file.is_file()]
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "plant.zip", "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(local))
        root = f"zip://::{tmp_path}/plant.zip"
    else:
        root = f"memory://{tmp_path.name}/plant"
        memory = fsspec.filesystem("memory")
        for file in files:
            memory.pipe_file(f"/{tmp_path.name}/plant/{file.relative_to(local)}", file.read_bytes())

    config = loaded(root, {"FP_EVENTS_HOME": str(tmp_path / "home")}, environment="prod")

    assert loaded(local, environment="prod").pipelines == config.pipelines
    assert ("plant", False, 2) == (config.name, config.pipelines["a"].enabled, config.pipelines["a"].retry.max_retries)


def test_a_filesystem_that_nobody_knows_is_refused() -> None:
    """The URL's password is not repeated."""
    with pytest.raises(StorageError) as caught:
        loaded("nowhere://u:hunter2@host/p")

    assert "nowhere://***@host/p: it cannot be opened (ValueError: Protocol not known: nowhere)" == str(caught.value)


def test_a_reload_sees_what_changed(tmp_path: Path) -> None:
    """Nothing of a file is remembered from one load to the next."""
    root = write(tmp_path, a="enabled: true\n")
    before = loaded(root).pipelines["a"].enabled
    write(tmp_path, a="enabled: false\n")

    assert (True, False) == (before, loaded(root).pipelines["a"].enabled)


def test_loading_writes_nothing(tmp_path: Path) -> None:
    """Files are the user's."""
    root = write(tmp_path, project="# mine\nname:   plant\n", a="outputs: [ alert ]\n")
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}

    loaded(root)

    assert before == {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
