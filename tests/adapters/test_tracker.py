"""Runs in Hamilton UI, told to a small real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fp_events.adapters.sender import flush_all
from fp_events.app.single import Call
from fp_events.domain.pipeline import ExecutorSpec
from tests.certificates import Authority

from .collectors import HamiltonUi, hamilton_ui
from .conftest import Plant

ON = {"with_adapter": {"hamilton_tracker": True}}


def tracked(plant: Plant, port: int, scheme: str = "http", **settings: Any) -> None:
    """Have the project's runs tracked."""
    tracker = {"username": "me", "project_id": 7, "api_url": f"{scheme}://127.0.0.1:{port}", **settings}
    plant.project(adapter={"hamilton_tracker": tracker}, run=ON)


def summaries(ui: HamiltonUi, number: int) -> dict[str, Any]:
    """Node to what is shown of its value."""
    return {one["node_name"]: one["value"] for one in ui.runs[number]["attributes"] if one["name"] == "result_summary"}


async def test_a_run_is_told_with_its_nodes(plant: Plant, told: Any) -> None:
    """With the user's key, the pipeline's tags, and what its values are; the log says where it is shown."""
    with hamilton_ui() as (port, ui):
        tracked(plant, port, api_key="a-key-for-tests", ui_url="https://ui.example/")
        plant.pipeline(adapter={"hamilton_tracker": {"dag_name": "daily", "tags": {"owner": "data", "priority": 1}}})

        report = await plant.run(7)
        ((event, facts),) = told()

    ((number, run),) = ui.runs.items()
    shown = f"https://ui.example/dashboard/project/7/runs/{number}"
    assert ("run_tracked", report.run_id, shown) == (event, facts["run_id"], facts["url"])
    assert {("me", "a-key-for-tests")} == ui.users
    assert ("GET", "projects/7") in [request[:2] for request in ui.requests]
    assert {"owner": "data", "priority": "1"} == run["tags"]
    assert ("SUCCESS", {"n": 7}) == (run["run_status"], run["inputs"])
    nodes = {name: node["status"] for name, node in run["nodes"].items() if not name.startswith("_")}
    assert {"doubled": "SUCCESS", "report": "SUCCESS", "text": "SUCCESS"} == nodes
    assert 14 == summaries(ui, number)["doubled"]["value"]
    (template,) = [body for method, path, _, body in ui.requests if (method, path) == ("POST", "dag_templates")]
    assert "daily" == template["name"]
    assert any("def doubled(n: int)" in file["contents"] for file in template["code_log"]["files"])


async def test_the_url_may_name_the_api(plant: Plant, told: Any) -> None:
    """As Hamilton UI's own pages write it; links lead to the server all the same."""
    with hamilton_ui() as (port, ui):
        for ending in ("/api", "/api/v1", "/api/v1/"):
            tracked(plant, port, api_url=f"http://127.0.0.1:{port}{ending}")
            await plant.run(7)
        shown = {facts["url"].rpartition("/runs/")[0] for _, facts in told()}

    assert ["SUCCESS"] * 3 == [run["run_status"] for run in ui.runs.values()]
    assert {f"http://127.0.0.1:{port}/dashboard/project/7"} == shown


async def test_a_failed_run_shows_its_traceback(plant: Plant) -> None:
    """At the node that raised."""
    with hamilton_ui() as (port, ui):
        tracked(plant, port)

        await plant.run(3)
        flush_all()

    (run,) = ui.runs.values()
    assert ("FAILURE", "FAILURE") == (run["run_status"], run["nodes"]["report"]["status"])
    (error,) = [one for one in run["attributes"] if one["type"] == "error"]
    assert any("six is refused" in line for line in error["value"]["stack_trace"])


async def test_pipelines_differ_in_what_is_captured(plant: Plant) -> None:
    """Though the SDK has one set of limits for a process; runs at the same time do not mix."""
    code = (
        "import time\n\ndef items(n: int) -> list:\n    time.sleep(0.005)\n    return list(range(n, n + 20))\n\n"
        "def named(n: int) -> dict:\n    return {str(i): n for i in range(20)}\n"
    )
    limits: dict[str, dict[str, Any]] = {
        "short": {"max_list_length_capture": 3, "max_dict_length_capture": 5},
        "none": {"capture_data_statistics": False},
        "long": {},
    }
    with hamilton_ui() as (port, ui):
        tracked(plant, port)
        for name, limit in limits.items():
            plant.pipeline(name, code, adapter={"hamilton_tracker": {"tags": {"name": name}, **limit}})
        threads = ExecutorSpec("threadpool", 25)

        await plant.runs(
            *(Call(pipeline=name, inputs={"n": n}, executor=threads) for n in range(10) for name in limits)
        )
        flush_all()

    #: Pipeline to commas in a list and colons in a dict; what was cut off leaves a word.
    kept: dict[str, set[tuple[int, int]]] = {}
    for number, run in ui.runs.items():
        n, shown = run["inputs"]["n"], summaries(ui, number)
        items, named = shown["items"]["value"], shown["named"]["value"]
        assert "SUCCESS" == run["run_status"]
        kept.setdefault(run["tags"]["name"], set()).add((str(items).count(","), str(named).count(":")))
        assert run["tags"]["name"] == "none" or str(n + 2) in str(items)
    assert {"short": {(3, 6)}, "none": {(0, 0)}, "long": {(19, 20)}} == kept


async def test_each_run_of_a_graph_is_told_of_one_template(plant: Plant) -> None:
    """The graph is described once, then known by its hash, in other processes too."""
    with hamilton_ui() as (port, ui):
        tracked(plant, port)

        await plant.runs(*(Call(pipeline="work", inputs={"n": n}) for n in range(4, 8)))
        await plant.run(8, executor=ExecutorSpec("processpool", 1))
        flush_all()

    assert 5 == len(ui.runs)
    assert ["SUCCESS"] * 5 == [run["run_status"] for run in ui.runs.values()]
    assert 1 == sum((method, path) == ("POST", "dag_templates") for method, path, *_ in ui.requests)


async def test_a_certificate_is_checked_unless_it_is_not_to_be(plant: Plant, tmp_path: Path, told: Any) -> None:
    """`verify` is true, false, or the authorities to trust."""
    authority = Authority(tmp_path)
    certificate = authority.issue("ui", subject_alternative="IP:127.0.0.1")
    with hamilton_ui(certificate) as (port, ui):
        for verify in (True, False, str(authority.own.cert)):
            tracked(plant, port, "https", verify=verify)
            await plant.run(7)
            flush_all()

    ((event, facts),) = [line for line in told() if line[0] != "run_tracked"]
    assert 2 == len(ui.runs)
    assert ("adapter_failed", "hamilton_tracker") == (event, facts["adapter"])
    assert "certificate verify failed" in facts["error"]


async def test_a_key_is_read_from_its_file_and_shown_nowhere(plant: Plant) -> None:
    """Its first line; `config show` has stars in its place."""
    (plant.folder / "key").write_text("the-secret-key\nother\n")
    with hamilton_ui() as (port, ui):
        tracked(plant, port, api_key_file="key")

        await plant.run(7)
        flush_all()

    assert {("me", "the-secret-key")} == ui.users
    tracked(plant, 1, api_key="the-secret-key")
    config = plant.config()
    assert "the-secret-key" not in f"{config!r} {config.show()} {config.pipelines}"
    assert "***" == config.show()["pipelines"]["work"]["adapter"]["hamilton_tracker"]["api_key"]


async def test_a_server_that_is_away_fails_no_run(plant: Plant, told: Any) -> None:
    """It is counted and told; when it is back the next run is there, with its graph."""
    with hamilton_ui() as (port, ui):
        pass
    tracked(plant, port)

    report = await plant.run(7)

    ((event, facts),) = told()
    assert "succeeded" == report.outcome.value
    assert ("adapter_failed", 1, {}) == (event, facts["failures"], ui.runs)
