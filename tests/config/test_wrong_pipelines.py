"""What a user is told of a wrong pipeline file."""

from __future__ import annotations

from pathlib import Path

import pytest

from .projects import refused, write

A = "conf/pipelines/a.yml"

CASES: dict[str, tuple[str, str]] = {
    "unknown key": ("triger: []\n", f"{A}:1: unknown key 'triger'; did you mean 'triggers'?"),
    "unknown nested key": (
        "run:\n  time_out: 3\n",
        f"{A}:2: unknown key 'run.time_out'; did you mean 'timeout'?",
    ),
    "unknown key far from all": (
        "outputs:\n  - node: alert\n    zzz: 1\n",
        f"{A}:3: unknown key 'outputs[0].zzz'; known here: node, topic, each, qos, retain, expires_after, nan",
    ),
    "key twice": ("run:\n  timeout: 1s\n  timeout: 2s\n", f"{A}:3: 'timeout' is given twice, first on line 2"),
    "duration": (
        "run:\n  timeout: abc\n",
        f"{A}:2: run.timeout: expected a duration such as 30s, got 'abc'",
    ),
    "negative duration": (
        "run:\n  retry_delay: -1\n",
        f"{A}:2: run.retry_delay: expected a duration such as 30s, got -1",
    ),
    "no time at all": ("run:\n  timeout: 0\n", f"{A}:2: run.timeout: expected a duration of at least 1ms, got 0"),
    "true is no number": (
        "run:\n  max_retries: true\n",
        f"{A}:2: run.max_retries: expected a whole number of 0 or more, got true",
    ),
    "quoted number": (
        'run:\n  max_retries: "3"\n',
        f"{A}:2: run.max_retries: expected a whole number of 0 or more, got '3'",
    ),
    "null number": (
        "run:\n  max_retries:\n",
        f"{A}:2: run.max_retries: expected a whole number of 0 or more, got nothing",
    ),
    "jitter": ("run:\n  jitter_factor: 1.5\n", f"{A}:2: run.jitter_factor: expected a number from 0 to 1, got 1.5"),
    "no number": ("run:\n  jitter_factor: .nan\n", f"{A}:2: run.jitter_factor: expected a number from 0 to 1, got nan"),
    "yes is text": ("enabled: yes\n", f"{A}:1: enabled: expected true or false, got 'yes'"),
    "block for a list": (
        "triggers:\n  topic: a\n",
        f"{A}:1: triggers: expected a list, got a block of keys; begin each item with '- '",
    ),
    "text for a block": ("run: fast\n", f"{A}:1: run: expected a block of keys, got 'fast'"),
    "list for a block": ("params: [1]\n", f"{A}:1: params: expected a block of keys, got a list"),
    "choice": (
        "run:\n  retry_backoff: linear\n",
        f"{A}:2: run.retry_backoff: expected fixed or exponential, got 'linear'",
    ),
    "QoS 3 trigger": (
        "triggers:\n  - topic: a\n    qos: 3\n",
        f"{A}:3: triggers[0].qos: expected a whole number from 0 to 2, got 3",
    ),
    "topic filter": (
        "triggers:\n  - topic: a/#/b\n",
        f"{A}:2: triggers[0].topic: topic filter 'a/#/b': '#' matches the rest, so it must be the last level",
    ),
    "no topic": ("triggers:\n  - qos: 1\n", f"{A}:2: triggers[0].topic: is missing"),
    "number for text": (
        "triggers:\n  - topic: 5\n",
        f"{A}:2: triggers[0].topic: expected text, got 5: put it in quotes",
    ),
    "schedule.cron": (
        "schedule:\n  cron: 0 25 * * *\n",
        f"{A}:2: schedule.cron: '0 25 * * *': '25' is no hour field (0-23)",
    ),
    "schedule.cron by fields": (
        "schedule:\n  cron:\n    day_of_week: 7\n",
        f"{A}:2: schedule.cron: field 'day_of_week': '7' is not within 0-6 or mon-sun, 0 is Monday",
    ),
    "schedule.interval": (
        "schedule:\n  interval: {hour: 2}\n",
        f"{A}:2: schedule.interval: unknown unit 'hour'; known are weeks, days, hours, minutes, seconds",
    ),
    "schedule.date": (
        "schedule:\n  date: tomorrow\n",
        f"{A}:2: schedule.date: 'tomorrow' is not a date and time such as 2030-08-15T10:30:00",
    ),
    "schedule.start": (
        "schedule:\n  interval: 5\n  start: soon\n",
        f"{A}:3: schedule.start: 'soon' is not a date and time such as 2030-08-15T10:30:00",
    ),
    "schedule.end before start": (
        "schedule:\n  interval: 5\n  start: 2030-01-02\n  end: 2030-01-01\n",
        f"{A}:1: schedule: `end` is before `start`",
    ),
    "schedule.jitter": (
        "schedule:\n  interval: 5\n  jitter: 5s\n",
        f"{A}:1: schedule: a `jitter` of 5 s is not shorter than the 5 s between two fires",
    ),
    "schedule.id": (
        "schedule:\n  interval: 5\n  id: a/b\n",
        f"{A}:3: schedule.id: expected letters, digits, dots, dashes or underscores, at most 100, got 'a/b'",
    ),
    "schedule.cache": (
        "schedule:\n  interval: 5\n  cache: {url: a}\n",
        f"{A}:3: unknown key 'schedule.cache.url'; known here: enabled, recompute, only, disable, ttl",
    ),
    "schedules": (
        "schedules:\n  interval: 5\n",
        f"{A}:1: schedules: expected a list, got a block of keys; begin each item with '- '",
    ),
    "adapter": (
        "adapter:\n  mlflow: {run_nme: x}\n",
        f"{A}:2: unknown key 'adapter.mlflow.run_nme'; did you mean 'run_name'?",
    ),
    "with_adapter": (
        "run:\n  with_adapter: {mlflow: 1}\n",
        f"{A}:2: run.with_adapter.mlflow: expected true or false, got 1",
    ),
    "cache": ("run:\n  cache: 5\n", f"{A}:2: run.cache: expected a block of keys, got 5"),
    "cache.recompute": (
        "run:\n  cache:\n    recompute: lookup\n",
        f"{A}:3: run.cache.recompute: expected a list of nodes, or true for all, got 'lookup'",
    ),
    "cache.max_bytes": (
        "run:\n  cache:\n    max_bytes: 1000\n",
        f"{A}:3: run.cache.max_bytes: expected a size of at least 1MiB, got 1000",
    ),
    "filter": (
        "triggers:\n  - topic: a\n    filter: payload > 0\n",
        f"{A}:3: triggers[0]: `filter` is not available in this version; remove it",
    ),
    "Ray's client": (
        "run:\n  executor:\n    type: ray\n    address: ray://head:10001\n",
        (
            f"{A}:4: run.executor.address: Ray's client protocol cannot carry runs; join this machine to the cluster "
            "with `ray start --address=HEAD:6379 --num-cpus=0` and say auto"
        ),
    ),
    "an option of tasks": (
        "run:\n  executor:\n    type: dask\n    options:\n      retries: 3\n",
        (
            f"{A}:5: run.executor.options: `retries` is not yours to give; "
            "remove it; `run.max_retries` says how often a run is tried again"
        ),
    ),
    "a schedule's executor without a type": (
        "schedule:\n  interval: 2h\n  executor: {max_workers: 2}\n",
        f"{A}:1: schedule.executor: `type` is missing; say which executor is meant",
    ),
    "acknowledge": (
        "triggers:\n  - topic: a\n    acknowledge: when_done\n",
        (f"{A}:3: triggers[0].acknowledge: expected when_saved, when_received or when_executed, got 'when_done'"),
    ),
    "state without the ledger": (
        "state: {total: before}\ntriggers:\n  - topic: a\n    acknowledge: when_executed\n",
        (
            f"{A}:4: acknowledge: when_executed keeps nothing in the ledger, and the pipeline has state, "
            "which lives there; use when_saved"
        ),
    ),
    "identity without the ledger": (
        "triggers:\n  - topic: a\n    acknowledge: when_received\n    identity: payload.id\n",
        (
            f"{A}:3: acknowledge: when_received keeps nothing in the ledger, and `identity` is remembered there; "
            "use when_saved, or leave `identity` out"
        ),
    ),
    "QoS 0 that waits at the broker": (
        "triggers:\n  - {topic: a, qos: 0, acknowledge: when_executed}\n",
        (f"{A}:2: acknowledge: when_executed leaves the message with the broker, which keeps none of QoS 0; use qos 1"),
    ),
    "a long wait at the broker": (
        "triggers:\n  - {topic: a, acknowledge: when_executed}\nrun: {deadline: 5m}\n",
        (
            f"{A}:2: acknowledge: when_executed holds up all later messages until a run has ended, and run.deadline "
            "is 300 s; give run.deadline at most 60 s"
        ),
    ),
    "hook": (
        "run:\n  on_failure: hooks.notify\n",
        f"{A}:2: run.on_failure: expected a function such as hooks.notify:failed, got 'hooks.notify'",
    ),
    "exception that is not there": (
        "run:\n  retry_exceptions: [nowhere.to_be.Found]\n",
        (
            f"{A}:2: run.retry_exceptions: 'nowhere.to_be.Found' cannot be imported: ModuleNotFoundError: "
            "No module named 'nowhere'; install it or correct the name"
        ),
    ),
    "no exception": (
        "run:\n  retry_exceptions:\n  - ValueError\n  - os.path\n",
        f"{A}:4: run.retry_exceptions: 'os.path' is not an exception in os",
    ),
    "syntax": (
        "run: [1\nparams: 2\n",
        f"{A}:2: is not YAML: while parsing a flow sequence, did not find expected ',' or ']'",
    ),
    "two documents": (
        "run: {}\n---\nparams: {}\n",
        f"{A}:2: is not YAML: expected a single document in the stream, but found another document",
    ),
    "not a mapping": ("# only\n- a\n- b\n", f"{A}:2: must be a block of keys such as 'name: value'"),
    "alias in a circle": ("params: &p\n  q: *p\n", f"{A}:1: contains itself through an alias"),
    "tag": (
        "params:\n  q: !!python/object:os.system x\n",
        f"{A}:2: tags are not understood; put text that begins with '!' in quotes",
    ),
    "block as a key": ("params:\n  ? [a]\n  : 1\n", f"{A}:2: a key must be a single word or number"),
    "unset variable": (
        "params:\n  q: ${NOWHERE}\n",
        f"{A}:2: the environment variable NOWHERE is not set; set it, or give a default as in ${{NOWHERE:-default}}",
    ),
    "demanded variable": ("params:\n  q: ${NOWHERE:?ask the plant}\n", f"{A}:2: NOWHERE: ask the plant"),
    "malformed reference": (
        "params:\n  q: a ${1} b\n",
        f"{A}:2: '${{' does not begin a reference such as ${{VAR}}; write '$${{' for the characters themselves",
    ),
    "reference in a flow block": (
        "params: {q: ${A}}\n",
        (
            f"{A}:1: is not YAML: while parsing a flow mapping, did not find expected ',' or '}}'; "
            "inside { } and [ ], put ${…} in quotes"
        ),
    ),
    "number as a key": ("params: {}\n1: x\n", f"{A}:2: the key 1 must be text"),
    "true as a key": ("run:\n  true: x\n", f"{A}:2: run: the key true must be text"),
    "input name": (
        "params:\n  1: x\n",
        f"{A}:2: params[1]: as a key: expected text, got 1: put it in quotes",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_file_is_refused_with_place_and_mend(case: str, tmp_path: Path) -> None:
    """One wrong thing gives one sentence, and it says where."""
    text, message = CASES[case]
    root = write(tmp_path, a=text)

    assert [message] == refused(root)


def test_all_problems_of_all_files_come_together(tmp_path: Path) -> None:
    """Nobody mends one line to be told of the next, and nothing hides behind an overlay."""
    root = write(
        tmp_path,
        project="log: {level: LOUD}\nnam: x\n",
        a="run:\n  timeout: abc\n  max_retries: -1\ntriggers: [{qos: 1}]\n",
        env_a="run: {timeout: 5s}\n",
    )

    assert [
        "conf/pipelines/a.yml:2: run.timeout: expected a duration such as 30s, got 'abc'",
        "conf/pipelines/a.yml:3: run.max_retries: expected a whole number of 0 or more, got -1",
        "conf/pipelines/a.yml:4: triggers[0].topic: is missing",
        "conf/project.yml:1: log.level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, got 'LOUD'",
        "conf/project.yml:2: unknown key 'nam'; did you mean 'name'?",
    ] == refused(root, environment="prod")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The line of the first byte that is not UTF-8 is named."""
    root = write(tmp_path)
    (root / "conf/pipelines").mkdir(parents=True)
    (root / "conf/pipelines/a.yml").write_bytes(b"params:\n  place: K\xf6ln\n")

    assert ["conf/pipelines/a.yml:2: is not UTF-8 text; save it as UTF-8"] == refused(root)


def test_a_flood_of_aliases_is_refused(tmp_path: Path) -> None:
    """A file of a few lines cannot fill the memory."""
    lines = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 8)]
    root = write(tmp_path, a="params:\n" + "".join(f"  {line}\n" for line in lines))

    assert ["conf/pipelines/a.yml:2: holds more than 100000 values, counting aliases"] == refused(root)


@pytest.mark.parametrize("depth", [65, 900])
def test_a_deeply_nested_file_is_refused(depth: int, tmp_path: Path) -> None:
    """Nesting beyond reason is a sentence, not a crash."""
    root = write(tmp_path, a="params: " + "[" * depth + "]" * depth)

    assert ["conf/pipelines/a.yml:1: is nested more than 64 levels deep"] == refused(root)


def test_files_that_nobody_reads_are_refused(tmp_path: Path) -> None:
    """A file in the wrong place or of the wrong name is not passed over in silence."""
    root = write(tmp_path, env_project="")
    for file in ("conf/project.yaml", "conf/pipelines/a.yaml", "conf/pipelines/b.yml", "conf/env/prod/pipelines/c.yml"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("")
    (root / "pipelines/my pipe.py").write_text("")

    assert [
        "conf/env/prod/pipelines/c.yml: there is no module pipelines/c.py for this file; `fp-events new c` makes one",
        "conf/pipelines/a.yaml: is not read; rename it to conf/pipelines/a.yml",
        "conf/pipelines/b.yml: there is no module pipelines/b.py for this file; `fp-events new b` makes one",
        "conf/project.yaml: is not read; rename it to conf/project.yml",
        (
            "pipelines/my pipe.py: 'my pipe' cannot be a pipeline's name; a name is a letter, then letters, digits, "
            "'_' and '-'; a module that is no pipeline begins with '_'"
        ),
    ] == refused(root, environment="prod")
