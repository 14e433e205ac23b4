"""Wrong command lines."""

from __future__ import annotations

from .case import ALERTS_PY, Case

P = "conf/project.yml"
NOTHING = {P: None, "conf/pipelines/alerts.yml": None, "pipelines/alerts.py": None}


def _command(wrong: str, arguments: tuple[str, ...], says: str, code: int = 64) -> Case:
    return Case(wrong=wrong, arguments=arguments, says=says, code=code)


CASES = (
    _command(
        "an executor that there is not",
        ("run", "alerts", "--executor", "proccesspool"),
        "error: there is no executor 'proccesspool'; did you mean 'processpool'?",
    ),
    _command(
        "an executor with settings that belong into the project",
        ("run", "alerts", "--executor", '{"type": "dask", "address": "tcp://scheduler:8786"}'),
        "error: --executor has no 'address'; it knows type, max_workers, num_cpus; the rest belongs into `run.executor`",
    ),
    Case(
        wrong="a command outside of a project",
        files=NOTHING,
        arguments=("check",),
        says="error: no project here: neither <folder> nor a folder above it has conf/project.yml; make one with `fp-events init NAME`, or name its folder with --project",
        code=64,
    ),
    _command(
        "`--project` with a folder that is no project",
        ("check", "--project", "pipelines"),
        "error: pipelines is no project: it has no conf/ folder; make one with `fp-events init NAME`, or name its folder with --project",
    ),
    _command(
        "`--project` with an archive that is not there",
        ("check", "--project", "plant.zip"),
        "error: <folder>/plant.zip: there is no such file or folder; mend the URL",
        74,
    ),
    _command(
        "`--project` with a URL that nobody knows",
        ("check", "--project", "pigeon://home:sweet@loft/plant"),
        "error: pigeon://***@loft/plant: it cannot be opened (ValueError: Protocol not known: pigeon)",
        74,
    ),
    _command(
        "`pipelines import` of what is no project",
        ("pipelines", "import", "conf"),
        "error: conf has no pipeline; name a project's folder, archive or URL",
    ),
    Case(
        wrong="`pipelines import` of a pipeline that is not there",
        files={"other/pipelines/sums.py": "def total(a: int) -> int:\n    return a\n"},
        arguments=("pipelines", "import", "other", "--pipeline", "nope"),
        says="error: other has no pipeline 'nope'; it has sums",
        code=64,
    ),
    Case(
        wrong="`pipelines export` over other files",
        files={"other/pipelines/alerts.py": "mine = 1\n"},
        arguments=("pipelines", "export", "alerts", "other"),
        says="error: <folder>/other: other files are there already: pipelines/alerts.py; say --overwrite, or export to another place",
        code=64,
    ),
    _command(
        "a way to the daemon that there is not",
        ("--by", "pigeon", "status"),
        "error: --by pigeon: expected socket, mqtt, http, or a URL such as http://plant:8090",
    ),
    _command("a command that there is not", ("srve",), "error: No such command 'srve'; did you mean 'serve'?"),
    _command(
        "an option that there is not",
        ("serve", "--verbose"),
        "error: No such option: --verbose; see `fp-events serve --help`",
    ),
    _command(
        "an argument too few", ("runs", "show"), "error: Missing argument 'RUN'; see `fp-events runs show --help`"
    ),
    _command(
        "`serve` with a log level that there is not",
        ("serve", "--log-level", "LOUD"),
        "error: Invalid value for '--log-level': 'LOUD' is not one of 'debug', 'info', 'warning', 'error', 'critical'; see `fp-events serve --help`",
    ),
    _command(
        "`--mqtt-url` that is no URL",
        ("serve", "--mqtt-url", "nonsense"),
        "error: --mqtt-url: expected 'embedded' or a URL such as mqtt://broker.example:1883 (mqtt, mqtts, ws or wss)",
    ),
    _command(
        "`init` into a folder that is not empty",
        ("init", "."),
        "error: <folder> is not empty; name a new folder, or add what is missing with --force",
    ),
    _command(
        "`new` with a name that is none",
        ("new", "my-alerts"),
        "error: 'my-alerts' is no name for a pipeline; use letters, digits and '_', and begin with a letter: it becomes a Python module",
    ),
    _command(
        "`new` with a name that is taken",
        ("new", "alerts"),
        "error: pipelines/alerts.py exists already; choose another name",
    ),
    _command(
        "`run` of a pipeline that is not there",
        ("run", "alrets"),
        "error: there is no pipeline 'alrets'; did you mean 'alerts'?",
    ),
    _command(
        "`--cache` that is not JSON",
        ("run", "alerts", "--cache", "yes"),
        "error: --cache 'yes' is not JSON; write true, false or '{\"recompute\": [\"lookup\"]}'",
    ),
    _command(
        "`--cache` with a key that belongs to the project",
        ("run", "alerts", "--cache", '{"url": "/tmp"}'),
        'error: --cache: cache.url belongs to the pipeline\'s configuration, not to one run; write true, false or \'{"recompute": ["lookup"]}\'',
    ),
    _command(
        "`graph save` to a file whose ending says nothing",
        ("graph", "save", "alerts", "-o", "alerts.doc"),
        "error: the ending of alerts.doc does not say how to draw; end it with .svg, .png, .pdf, .mmd, .mermaid, .dot, .gv, .txt, or say --format",
    ),
    _command(
        "`cache clear` of a pipeline that is not there",
        ("cache", "clear", "--pipeline", "alrets"),
        "error: there is no pipeline 'alrets'; did you mean 'alerts'?",
    ),
    _command(
        "`cache clear` of a node that is not there",
        ("cache", "clear", "--node", "alrt"),
        "error: no values of a node 'alrt' are in the cache; nothing is kept",
    ),
    _command(
        "`graph show` of a pipeline that is not there",
        ("graph", "show", "alrets"),
        "error: there is no pipeline 'alrets'; did you mean 'alerts'?",
    ),
    _command(
        "`pipelines show` of a pipeline that is not there",
        ("pipelines", "show", "alrets"),
        "error: there is no pipeline 'alrets'; did you mean 'alerts'?",
    ),
    _command(
        "`--inputs` that is not JSON",
        ("run", "alerts", "--inputs", "{reading: 1}"),
        "error: --inputs is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); write --inputs '{\"value\": 1}'",
    ),
    _command(
        "`--inputs` that is no object",
        ("run", "alerts", "--inputs", "[1]"),
        "error: --inputs is no JSON object; write --inputs '{\"value\": 1}'",
    ),
    _command(
        "`--inputs @file` of a file that is not there",
        ("run", "alerts", "--inputs", "@inputs.json"),
        "error: inputs.json: it cannot be read: No such file or directory; correct the path after the @",
        74,
    ),
    _command(
        "`-i` without a value",
        ("run", "alerts", "-i", "reading"),
        "error: -i 'reading' is no NAME=VALUE; write -i reading=VALUE",
    ),
    _command(
        "`run` with an input missing",
        ("run", "alerts", "-i", "reading=90"),
        "error: alerts: pipeline 'alerts' needs input 'line'; fill it by a trigger's `map`, `run.inputs` or `params`, or give the parameter a default",
        1,
    ),
    _command(
        "`run` with an input that nobody takes",
        ("run", "alerts", "-i", "reading=90", "-i", "line=a", "-i", "limits=3"),
        "error: pipeline 'alerts' has no input 'limits'; did you mean 'limit'?",
        64,
    ),
    _command(
        "`run` with an input of a wrong type",
        ("run", "alerts", "-i", "reading=hot", "-i", "line=a"),
        "error: alerts: node alert: TypeError: '>' not supported between instances of 'str' and 'float'",
        1,
    ),
    _command(
        "`run` of a node that is not there",
        ("run", "alerts", "-i", "reading=90", "-i", "line=a", "-o", "alrt"),
        "error: pipeline 'alerts' has no node 'alrt'; did you mean 'alert'?",
        64,
    ),
    Case(
        wrong="`run` of a pipeline that raises",
        files={"pipelines/alerts.py": ALERTS_PY.replace("return {", "raise ValueError('no such line')\n    return {")},
        arguments=("run", "alerts", "-i", "reading=90", "-i", "line=a"),
        says="error: alerts: node alert: ValueError: no such line",
        code=1,
    ),
    _command(
        "a command for the daemon while none runs",
        ("status",),
        "error: <folder>: no daemon is running for this project; start one with `fp-events serve`",
        69,
    ),
    _command(
        "`trigger` while no daemon runs",
        ("trigger", "alerts"),
        "error: <folder>: no daemon is running for this project; start one with `fp-events serve`",
        69,
    ),
    _command(
        "`runs list` before the first `serve`",
        ("runs", "list"),
        "error: <folder>: no daemon is running for this project, and it has no ledger yet; start one with `fp-events serve`",
        69,
    ),
    _command(
        "`publish` while the embedded broker does not run",
        ("publish", "plant/a/temperature", "{}"),
        "error: mqtt.url: embedded: the embedded broker is not running; start it with `fp-events serve`",
        69,
    ),
    _command(
        "`publish` to a topic with a wildcard",
        ("publish", "plant/+/temperature", "{}"),
        "error: topic 'plant/+/temperature': a topic to publish to has no wildcards, + or #; name one topic",
    ),
    _command(
        "`ledger check` before there is one",
        ("ledger", "check"),
        "error: <folder>/.fp-events/ledger.db: there is no ledger; `fp-events serve` makes it; or correct ledger.url",
        74,
    ),
)
