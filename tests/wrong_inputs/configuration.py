"""Wrong settings: files, variables, values."""

from __future__ import annotations

from .case import ALERTS_YML, Case

P = "conf/project.yml"
A = "conf/pipelines/alerts.yml"


def _project(wrong: str, text: str, says: str) -> Case:
    return Case(wrong=wrong, files={P: text}, says=says, code=78)


def _pipeline(wrong: str, text: str, says: str) -> Case:
    """`text` goes below the pipeline's right settings."""
    return Case(wrong=wrong, files={A: ALERTS_YML + text}, says=says, code=78)


CASES = (
    _project(
        "a key misspelt",
        "name: plant\nmqqt:\n  url: embedded\n",
        "error: conf/project.yml:2: unknown key 'mqqt'; did you mean 'mqtt'?",
    ),
    _project(
        "a key given twice",
        "name: plant\nlog: {level: INFO}\nname: plant2\n",
        "error: conf/project.yml:3: 'name' is given twice, first on line 1",
    ),
    _project(
        "YAML that is none",
        "name: plant\nmqtt: [\n",
        "error: conf/project.yml:3: is not YAML: while parsing a flow node, did not find expected node content",
    ),
    _project(
        "a tab for indentation",
        "name: plant\nmqtt:\n\turl: embedded\n",
        "error: conf/project.yml:3: is not YAML: while scanning for the next token, found character that cannot start any token; indent with spaces: YAML does not take tabs",
    ),
    _project(
        "a colon without a space after it",
        "name:plant\n",
        "error: conf/project.yml:1: must be a block of keys such as 'name: value'; put a space after the colon",
    ),
    _project(
        "a duration that is none",
        "name: plant\nmqtt:\n  keepalive: fast\n",
        "error: conf/project.yml:3: mqtt.keepalive: expected a duration such as 30s, got 'fast'",
    ),
    _project(
        "a name with a space and capitals",
        "name: My Plant\n",
        "error: conf/project.yml:1: name: expected a name such as plant-1, of a-z, 0-9, '_' and '-', got 'My Plant'",
    ),
    _project(
        "a URL without `mqtt://`",
        "name: plant\nmqtt:\n  url: localhost:1883\n",
        "error: conf/project.yml:3: mqtt.url: expected 'embedded' or a URL such as mqtt://broker.example:1883 (mqtt, mqtts, ws or wss)",
    ),
    _project(
        "`${VAR}` of a variable that is not set",
        "name: plant\nmqtt:\n  password: ${PLANT_PASSWORD}\n",
        "error: conf/project.yml:3: the environment variable PLANT_PASSWORD is not set; set it, or give a default as in ${PLANT_PASSWORD:-default}",
    ),
    _project(
        "FlowerPower's `job_queue`",
        "name: plant\njob_queue:\n  type: rq\n",
        "error: conf/project.yml:2: FlowerPower's job queue is replaced by the daemon's ledger; try `fp-events migrate` or remove it",
    ),
    _project(
        "`control.allow` with a pipeline that is not there",
        "name: plant\ncontrol:\n  mqtt: true\n  allow: [alrets]\n",
        "error: conf/project.yml:4: control.allow: there is no pipeline 'alrets'; there are: alerts",
    ),
    _project(
        "`control.commands` with a command that is not there",
        "name: plant\ncontrol:\n  mqtt: true\n  commands: [status, runs.cancle]\n",
        "error: conf/project.yml:4: control.commands: there is no command 'runs.cancle'; did you mean 'runs.cancel'?",
    ),
    _project(
        "a key for signed commands that is too short",
        "name: plant\ncontrol:\n  mqtt: true\n  hmac_key: ${KEY:-secret}\n",
        "error: conf/project.yml:4: control.hmac_key: it is shorter than 16 bytes; make one with `openssl rand -hex 32`",
    ),
    _project(
        "a password file that is not there",
        "name: plant\nmqtt:\n  url: mqtt://127.0.0.1:1\n  username: plant\n  password_file: secrets/mqtt\n",
        "error: conf/project.yml:5: mqtt.password_file: the file secrets/mqtt cannot be used: No such file or directory; correct the path, or the file's owner and mode",
    ),
    _project(
        "a CA file that is not there",
        "name: plant\nmqtt:\n  url: mqtts://127.0.0.1:1\n  tls: {ca_file: ca.pem}\n",
        "error: conf/project.yml:4: mqtt.tls.ca_file: the file ca.pem cannot be used: No such file or directory; correct the path, or the file's owner and mode",
    ),
    Case(
        wrong="a variable `FP_EVENTS_…` that names no setting",
        environ={"FP_EVENTS_MQTT_URL": "mqtt://broker.example"},
        says="error: environment: the variable FP_EVENTS_MQTT_URL names no setting; did you mean FP_EVENTS_MQTT__URL?",
        code=78,
    ),
    Case(
        wrong="a variable `FP_EVENTS_…` with a wrong value",
        environ={"FP_EVENTS_RUN__MAX_RETRIES": "three"},
        says="error: environment FP_EVENTS_RUN__MAX_RETRIES: run.max_retries: expected a whole number of 0 or more, got 'three'",
        code=78,
    ),
    Case(
        wrong="an environment that has no overlay",
        arguments=("serve", "--env", "prodction"),
        says="error: environment FP_EVENTS_ENV: there is no folder conf/env/prodction for the environment 'prodction'; make it, or leave out FP_EVENTS_ENV and --env",
        code=78,
    ),
    Case(
        wrong="a log level that there is not, in the environment",
        environ={"FP_EVENTS_LOG__LEVEL": "LOUD"},
        says="error: environment FP_EVENTS_LOG__LEVEL: log.level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, got 'LOUD'",
        code=78,
    ),
    _pipeline(
        "a key of a pipeline misspelt",
        "run:\n  max_retry: 3\n",
        "error: conf/pipelines/alerts.yml:10: unknown key 'run.max_retry'; did you mean 'max_retries'?",
    ),
    _pipeline(
        "text where a number belongs",
        'run:\n  max_retries: "3"\n',
        "error: conf/pipelines/alerts.yml:10: run.max_retries: expected a whole number of 0 or more, got '3'",
    ),
    _pipeline(
        "a duration in words",
        "run:\n  timeout: 10 minutes\n",
        "error: conf/pipelines/alerts.yml:10: run.timeout: expected a duration such as 30s, got '10 minutes'",
    ),
    Case(
        wrong="a key that is not built yet",
        files={A: ALERTS_YML.replace("    map:", "    filter: payload.value > 0\n    map:")},
        says="error: conf/pipelines/alerts.yml:3: triggers[0]: `filter` is not available in this version; remove it",
        code=78,
    ),
    _pipeline(
        "a minute that no hour has",
        "schedule:\n  cron: '61 5 * * 1-5'\n",
        "error: conf/pipelines/alerts.yml:10: schedule.cron: '61 5 * * 1-5': '61' is no minute field (0-59)",
    ),
    _pipeline(
        "fields of a cron rule misspelt",
        "schedule:\n  cron: {hours: 3}\n",
        "error: conf/pipelines/alerts.yml:10: schedule.cron: unknown field 'hours'; did you mean 'hour'?",
    ),
    _pipeline(
        "a time zone that there is not",
        "schedule:\n  cron: '@daily'\n  timezone: Europe/Berln\n",
        "error: conf/pipelines/alerts.yml:11: schedule.timezone: 'Europe/Berln' is not a time zone such as Europe/Berlin",
    ),
    _pipeline(
        "two rules in one schedule",
        "schedule:\n  cron: '@daily'\n  interval: 2h\n",
        "error: conf/pipelines/alerts.yml:9: schedule: both `cron` and `interval` are given: keep one of them",
    ),
    _pipeline(
        "a Redis that is no URL of one",
        "run:\n  executor: {type: rq, url: http://redis.example}\n",
        "error: conf/pipelines/alerts.yml:10: run.executor.url: expected a URL such as redis://redis.example:6379/0 (redis, rediss or unix); '@', ':', '/', '?' and '#' in a password are written %40, %3A, %2F, %3F and %23",
    ),
    _pipeline(
        "a schedule without a rule",
        "schedule:\n  timezone: UTC\n",
        "error: conf/pipelines/alerts.yml:9: schedule: none of `cron`, `interval` and `date` is given: a schedule has one of them",
    ),
    _pipeline(
        "an interval in words",
        "schedule:\n  interval: two hours\n",
        "error: conf/pipelines/alerts.yml:10: schedule.interval: 'two hours' is not an interval such as 45m, 1h30m, or a number of seconds",
    ),
    _pipeline(
        "a Ray cluster by its client's protocol",
        "run:\n  executor: {type: ray, address: 'ray://head:10001'}\n",
        "error: conf/pipelines/alerts.yml:10: run.executor.address: Ray's client protocol cannot carry runs; join this machine to the cluster with `ray start --address=HEAD:6379 --num-cpus=0` and say auto",
    ),
    _pipeline(
        "two schedules of the same id",
        "schedules:\n  - {id: daily, cron: '@daily', inputs: {reading: 1.0, line: a}}\n  - {id: daily, interval: 2h, inputs: {reading: 1.0, line: a}}\n",
        "error: conf/pipelines/alerts.yml:11: schedules[1]: the schedule at conf/pipelines/alerts.yml:10 has the id 'daily' too; give one of them an `id` of its own",
    ),
    _pipeline(
        "a schedule that leaves an input empty",
        "schedule:\n  interval: 2h\n  inputs: {reading: 90.0}\n",
        "error: conf/pipelines/alerts.yml:9: schedule 'alerts' starts runs without input 'line', which nothing fills; add `line` to the schedule's `inputs`, to `run.inputs` or `params`, or give it a default",
    ),
    _pipeline(
        "a schedule that fills what no function takes",
        "schedule:\n  interval: 2h\n  inputs: {reading: 90.0, line: a, lin: b}\n",
        "error: conf/pipelines/alerts.yml:9: schedule 'alerts' fills 'lin', which is no input of the pipeline; did you mean 'line'?",
    ),
    _pipeline(
        "an exception that cannot be imported",
        "run:\n  retry_exceptions: [reqests.exceptions.ConnectionError]\n",
        "error: conf/pipelines/alerts.yml:10: run.retry_exceptions: 'reqests.exceptions.ConnectionError' cannot be imported: ModuleNotFoundError: No module named 'reqests'; install it or correct the name",
    ),
    _pipeline(
        "a callback that cannot be imported",
        "run:\n  on_failure: hooks.notify:failed\n",
        "error: conf/pipelines/alerts.yml:10: on_failure hooks.notify:failed cannot be imported (ModuleNotFoundError: No module named 'hooks'); name a function as module:function, the module below the project's folder",
    ),
    Case(
        wrong="one trigger instead of a list",
        files={A: "triggers:\n  topic: plant/+/temperature\n"},
        says="error: conf/pipelines/alerts.yml:1: triggers: expected a list, got a block of keys; begin each item with '- '",
        code=78,
    ),
    Case(
        wrong="a trigger with QoS 2 on MQTT 3.1.1",
        files={
            "conf/project.yml": "name: plant\nmqtt: {protocol: '3.1.1'}\n",
            A: ALERTS_YML.replace("    map:", "    qos: 2\n    map:"),
        },
        says="error: conf/pipelines/alerts.yml:2: qos: 2 is not available with aiomqtt, which confirms such messages before they are saved; use MQTT 5 over TCP or TLS and leave mqtt.client out, or qos 1 and `identity`",
        code=78,
    ),
    Case(
        wrong="`#` before the end of a topic filter",
        files={A: ALERTS_YML.replace("plant/{line}/temperature", "plant/#/temperature")},
        says="error: conf/pipelines/alerts.yml:2: triggers[0].topic: topic filter 'plant/#/temperature': '#' matches the rest, so it must be the last level",
        code=78,
    ),
    Case(
        wrong="a capture that fills only a part of its level",
        files={A: ALERTS_YML.replace("plant/{line}", "plant/line-{line}")},
        says="error: conf/pipelines/alerts.yml:2: triggers[0].topic: topic filter 'plant/line-{line}/temperature': a capture must fill its level, which 'line-{line}' does not",
        code=78,
    ),
    Case(
        wrong="a wildcard in an output's topic",
        files={A: ALERTS_YML.replace("alerts/{line}", "alerts/+/{line}")},
        says="error: conf/pipelines/alerts.yml:8: outputs[0].topic: topic 'alerts/+/{line}': a topic to publish to has no wildcards, + or #",
        code=78,
    ),
    Case(
        wrong="an output's topic with a brace too few",
        files={A: ALERTS_YML.replace("alerts/{line}", "alerts/{line")},
        says="error: conf/pipelines/alerts.yml:8: outputs[0].topic: template 'alerts/{line': the brace at character 8 has no partner",
        code=78,
    ),
)
