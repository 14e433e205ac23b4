"""Wrong pipelines: modules, graphs, and what fills and takes their values."""

from __future__ import annotations

from .case import ALERTS_PY, ALERTS_YML, Case

Y = "conf/pipelines/alerts.yml"
M = "pipelines/alerts.py"

#: A module with one task; more follows.
_TASKS = "from fp_events import DAG, task\n\n\n@task\ndef alert(reading, line) -> str:\n    return line\n\n\n"


def _module(wrong: str, text: str, says: str) -> Case:
    return Case(wrong=wrong, files={M: text}, says=says, code=78)


def _settings(wrong: str, old: str, new: str, says: str) -> Case:
    assert old in ALERTS_YML
    return Case(wrong=wrong, files={Y: ALERTS_YML.replace(old, new)}, says=says, code=78)


CASES = (
    Case(
        wrong="a pipeline's YAML without its module",
        files={M: None},
        says="error: conf/pipelines/alerts.yml: there is no module pipelines/alerts.py for this file; `fp-events new alerts` makes one",
        code=78,
    ),
    _settings(
        "`io` with a loader that there is not",
        "outputs:",
        "io: {load: {limit: {jsn: limits.json}}}\noutputs:",
        "error: conf/pipelines/alerts.yml:6: there is no loader 'jsn'; did you mean 'json'?",
    ),
    _settings(
        "`io` that loads what no function takes",
        "outputs:",
        "io: {load: {limits: {json: limits.json}}}\noutputs:",
        "error: conf/pipelines/alerts.yml:6: no function takes 'limits'; name a parameter of a function",
    ),
    _settings(
        "`io` that saves without a node",
        "outputs:",
        "io: {save: {kept: {json: alerts.json}}}\noutputs:",
        "error: conf/pipelines/alerts.yml:6: io.save.kept: it does not say which node it saves: a saver such as {node: daily, parquet: {path: data/daily.parquet}}",
    ),
    _module(
        "a saver whose topic runs the pipeline again",
        "from hamilton.function_modifiers import save_to\n\n\n@save_to.mqtt(topic='plant/7/temperature')\n" + ALERTS_PY,
        "error: pipelines/alerts.py:5: what 'alerts' publishes from node 'save.alert' triggers it again (plant/{line}/temperature); publish to a topic that no trigger of it matches",
    ),
    _module(
        "a module that imports what is not installed",
        "import pandsa\n\n" + ALERTS_PY,
        "error: pipelines/alerts.py:1: module 'pipelines.alerts' cannot be imported: it imports 'pandsa', which is not there; install it, or add pandsa.py to the project",
    ),
    Case(
        wrong="a module that imports a name that is not there",
        files={M: "from json import laods\n\n" + ALERTS_PY},
        says="error: pipelines/alerts.py:1: module 'pipelines.alerts' cannot be imported: ImportError: cannot import name 'laods' from 'json' (<path>); mend the module",
        code=78,
        volatile={"path": r"(?<=\()/\S+\.py"},
    ),
    _module(
        "a mark that asks for no attempt",
        "from fp_events import retry\n\n\n@retry(0)\n" + ALERTS_PY,
        "error: pipelines/alerts.py:4: @retry: attempts is a whole number from 1, not 0; see docs/nodes.md",
    ),
    _module(
        "a condition on what the function does not take",
        "from fp_events import when\n\n\n@when(lambda value: value > 80)\n" + ALERTS_PY,
        "error: pipelines/alerts.py:4: @when: its function takes 'value', but 'alert' takes reading, line, limit; see docs/nodes.md",
    ),
    _module(
        "a condition above branches",
        "from fp_events import when\nfrom hamilton.htypes import Collect, Parallelizable\n\n\n"
        "@when(lambda reading: reading > 0)\ndef part(reading: float) -> Parallelizable[float]:\n    return [reading]\n\n\n"
        "def alert(part: Collect[float], line: str) -> float:\n    return sum(part)\n",
        "error: pipelines/alerts.py:6: 'part' is Parallelizable, and cannot have a condition; take @when away and give no branches, or put it above a node that the branches begin with",
    ),
    _module(
        "a module that raises when it is imported",
        ALERTS_PY + "\nTABLE = {}['limits']\n",
        "error: pipelines/alerts.py:5: module 'pipelines.alerts' cannot be imported: KeyError: 'limits'; mend the module",
    ),
    _module(
        "a module that ends the program when it is imported",
        ALERTS_PY + "\nraise SystemExit(3)\n",
        "error: pipelines/alerts.py:5: module 'pipelines.alerts' cannot be imported: it ends the program (SystemExit: 3); put what a script does under `if __name__ == \"__main__\":`",
    ),
    _module(
        "a module with a syntax error",
        ALERTS_PY.replace("-> dict | None:", "-> dict | None"),
        "error: pipelines/alerts.py:1: module 'pipelines.alerts' cannot be imported: invalid syntax: expected ':'; mend the line",
    ),
    _module(
        "a module without functions",
        "LIMIT = 80.0\n",
        "error: conf/pipelines/alerts.yml:7: `outputs` names 'alert', but module 'pipelines.alerts' has no such function; add a function 'alert' to pipelines/alerts.py",
    ),
    Case(
        wrong="a pipeline whose module is empty",
        files={"pipelines/bare.py": "", "conf/pipelines/bare.yml": "run: {max_retries: 1}\n"},
        says="error: pipelines/bare.py: module 'pipelines.bare' has no function that a run could call; write one; a function whose name begins with _ is none",
        code=78,
    ),
    _module(
        "functions that need each other in a circle",
        ALERTS_PY
        + "\n\ndef limit(offset: float) -> float:\n    return offset\n\n\ndef offset(limit: float) -> float:\n    return limit\n",
        "error: pipelines/alerts.py:6: functions need one another in a circle: limit -> offset -> limit; break the circle; a value of the run before comes in through `state`",
    ),
    _module(
        "tasks that wait for one another in a circle",
        _TASKS + "@task\ndef watch(reading):\n    return reading\n\n\nalert >> watch >> alert\n",
        "error: pipelines/alerts.py:5: tasks wait for one another in a circle: alert -> watch -> alert; remove one of these edges",
    ),
    _module(
        "two tasks of one name",
        _TASKS + "@task\ndef alert(reading):\n    return reading\n",
        "error: pipelines/alerts.py:10: two tasks are called 'alert': the other one is at pipelines/alerts.py:5; rename one of them, or give it a name: @task(name='…')",
    ),
    _module(
        "an edge from a task to one that takes something else",
        _TASKS + "@task\ndef watch(text: int):\n    return text\n\n\nalert >> watch\n",
        "error: pipelines/alerts.py:10: task 'watch' takes 'text' as int, but 'alert' gives str; make the two type hints agree",
    ),
    _module(
        "a DAG that runs when its module is imported",
        _TASKS + "DAG('alerts').run()\n",
        "error: pipelines/alerts.py:9: module 'pipelines.alerts' cannot be imported: FlowkitError: DAG 'alerts' runs when its module is imported; put the call under `if __name__ == \"__main__\":`; mend the module",
    ),
    _module(
        "a function without type hints",
        ALERTS_PY.replace("reading: float", "reading"),
        "error: pipelines/alerts.py:1: function 'alert' has no type hint for 'reading'; add it; a function whose name begins with _ is no node",
    ),
    _module(
        "a function without a return type",
        ALERTS_PY.replace(" -> dict | None", ""),
        "error: pipelines/alerts.py:1: function 'alert' has no type hint for its result; add it; a function whose name begins with _ is no node",
    ),
    _module(
        "functions whose types contradict each other",
        ALERTS_PY.replace("limit: float = 80.0", "limit: float")
        + "\n\ndef limit(line: str) -> str:\n    return line\n",
        "error: pipelines/alerts.py:1: 'alert' takes 'limit' as float, but 'limit' gives str at pipelines/alerts.py:6; make the two type hints agree",
    ),
    _settings(
        "a map that leaves an input unfilled",
        "      line: topic.line\n",
        "",
        "error: conf/pipelines/alerts.yml:2: nothing fills input 'line': 'alert' at pipelines/alerts.py:1 takes it; add `line` to `map`, `run.inputs` or `params`, or give the parameter a default",
    ),
    _settings(
        "a map that fills what no function takes",
        "      line: topic.line\n",
        "      line: topic.line\n      limits: payload.limit\n",
        "error: conf/pipelines/alerts.yml:6: `map` fills 'limits', but no function takes that; did you mean 'limit'?",
    ),
    _settings(
        "a map of a type that contradicts the function's",
        "reading: payload.value",
        "reading: topic.line",
        "error: conf/pipelines/alerts.yml:4: `map` gives 'reading' topic.line, a str, but 'alert' at pipelines/alerts.py:1 takes it as float; map another path, or change the type hint",
    ),
    _settings(
        "a map that names an unknown capture",
        "line: topic.line",
        "line: topic.lane",
        "error: conf/pipelines/alerts.yml:5: `map` cannot fill 'line': path 'topic.lane': topic 'plant/{line}/temperature' does not capture 'lane'; its captures are line",
    ),
    _settings(
        "a map whose path begins with nothing known",
        "reading: payload.value",
        "reading: value",
        "error: conf/pipelines/alerts.yml:4: triggers[0].map.reading: path 'value': it begins with 'value', not with payload, topic or message",
    ),
    _settings(
        "an output that no function computes",
        "node: alert",
        "node: alerts",
        "error: conf/pipelines/alerts.yml:7: `outputs` names 'alerts', but module 'pipelines.alerts' has no such function; did you mean 'alert'?",
    ),
    _settings(
        "a `final_vars` that no function computes",
        "outputs:\n",
        "run:\n  final_vars: [alrt]\noutputs:\n",
        "error: conf/pipelines/alerts.yml:7: `run.final_vars` names 'alrt', but module 'pipelines.alerts' has no such function; did you mean 'alert'?",
    ),
    _settings(
        "a `cache` that names no function",
        "outputs:\n",
        "run:\n  cache:\n    recompute: [alrt]\noutputs:\n",
        "error: conf/pipelines/alerts.yml:8: `cache.recompute` names 'alrt', but module 'pipelines.alerts' has no such function; did you mean 'alert'?",
    ),
    _settings(
        "a parameter that no function takes",
        "outputs:\n",
        "params: {limt: 70}\noutputs:\n",
        "error: conf/pipelines/alerts.yml:6: `params` fills 'limt', but no function takes that; did you mean 'limit'?",
    ),
    _settings(
        "a parameter of a wrong type",
        "outputs:\n",
        'params: {limit: "70"}\noutputs:\n',
        "error: conf/pipelines/alerts.yml:6: `params` gives 'limit' '70', but 'alert' at pipelines/alerts.py:1 takes it as float; write it without quotes",
    ),
    _settings(
        "a state that is kept of nothing",
        "outputs:\n",
        "state: {window: previous_window}\noutputs:\n",
        "error: conf/pipelines/alerts.yml:6: `state` names 'window', but module 'pipelines.alerts' has no such function; add a function 'window' to pipelines/alerts.py",
    ),
    _settings(
        "a key that names an unknown capture",
        "    map:\n",
        '    key: "{lane}"\n    map:\n',
        "error: conf/pipelines/alerts.yml:3: `key` names 'lane', which topic 'plant/{line}/temperature' does not capture; did you mean 'line'?",
    ),
    _settings(
        "a key of the value, which is not there yet",
        "    map:\n",
        '    key: "{value.line}"\n    map:\n',
        "error: conf/pipelines/alerts.yml:3: `key` names {value}, which there is only after the run; take it from the topic or the payload",
    ),
    _settings(
        "an identity that names an unknown capture",
        "    map:\n",
        "    identity: topic.lane\n    map:\n",
        "error: conf/pipelines/alerts.yml:3: `identity` names 'lane', which topic 'plant/{line}/temperature' does not capture; did you mean 'line'?",
    ),
    _settings(
        "an output's topic that names an unknown capture",
        "alerts/{line}",
        "alerts/{lane}",
        "error: conf/pipelines/alerts.yml:8: `outputs[0].topic` names 'lane', which topic 'plant/{line}/temperature' does not capture; did you mean 'line'?",
    ),
    _settings(
        "an output that triggers its own pipeline",
        "alerts/{line}",
        "plant/{line}/temperature",
        "error: conf/pipelines/alerts.yml:7: what 'alerts' publishes from node 'alert' triggers it again (plant/{line}/temperature); publish to a topic that no trigger of it matches",
    ),
    _settings(
        "an output to a topic that triggers its own pipeline",
        "topic: alerts/{line}",
        "topic: plant/all/temperature",
        "error: conf/pipelines/alerts.yml:7: what 'alerts' publishes from node 'alert' triggers it again (plant/{line}/temperature); publish to a topic that no trigger of it matches",
    ),
    _settings(
        "a trigger that matches the daemon's own events",
        "topic: plant/{line}/temperature",
        "topic: fp/{line}/#",
        "error: conf/pipelines/alerts.yml:2: what the daemon tells of 'alerts' on fp/plant/events/alerts/succeeded triggers it again (fp/{line}/#); name the topics of your devices more narrowly",
    ),
)
