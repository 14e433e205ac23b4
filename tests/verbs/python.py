"""The same from Python."""

from __future__ import annotations

from .row import Row, Section, Verb

PYTHON = Section(
    title="From Python",
    note="""\
`Project` is in the place of `PipelineManager` and of `JobQueueManager`: [python.md](python.md). FlowerPower's lines begin
with `pm = PipelineManager()` or `jq = JobQueueManager()`.""",
    python=True,
    verbs=(
        Verb(
            title="`PipelineManager`",
            rows=(
                Row(
                    theirs=(
                        'pm.run("boiler", inputs={"celsius": 20}, final_vars=["label"], config={"region": "emea"}, executor_cfg="local", max_retries=2)',
                    ),
                    here=(
                        "from fp_events import Project",
                        'project = Project.load(".")',
                        'project.run("boiler", inputs={"celsius": 20}, final_vars=["label"], config={"region": "emea"}, executor="local", max_retries=2)',
                    ),
                ),
                Row(
                    theirs=('pm.run_job("boiler", inputs={"celsius": 20})',),
                    here=('project.submit("boiler", inputs={"celsius": 20}, run_id="p-1").result(timeout=20)',),
                ),
                Row(
                    theirs=(
                        'pm.add_job("boiler", inputs={"celsius": 20}, run_in="2h30m")',
                        'pm.add_job("boiler", inputs={"celsius": 20}, run_at="2035-12-25T08:00:00")',
                    ),
                    here=(
                        'later = project.submit("boiler", inputs={"celsius": 20}, run_in="2h30m", run_id="p-2")',
                        'later.status()["state"]',
                        'project.submit("boiler", inputs={"celsius": 20}, run_at="2035-12-25T08:00:00+00:00", run_id="p-3").status()["due_at"]',
                    ),
                ),
                Row(
                    theirs=(
                        'pm.schedule("boiler", cron="0 5 * * 1-5", inputs={"celsius": 20}, schedule_id="weekdays", overwrite=True)',
                        'pm.schedule("boiler", interval="45m", max_retries=2)',
                        'pm.schedule("boiler", date="2035-01-01T03:00:00")',
                    ),
                    here=(
                        'project.schedules.add("boiler", cron="0 5 * * 1-5", inputs={"celsius": 20}, schedule_id="weekdays", overwrite=True)["schedule_id"]',
                        'project.schedules.add("boiler", interval="45m", inputs={"celsius": 20}, max_retries=2, schedule_id="often")["state"]',
                        'project.schedules.add("boiler", date="2035-01-01T03:00:00", inputs={"celsius": 20}, schedule_id="new-year")["next_fire_at"]',
                    ),
                ),
                Row(
                    theirs=("pm.schedule_all()",),
                    here=("project.schedules.sync()", "project.schedules.sync(overwrite=True)"),
                ),
                Row(
                    theirs=("pm.schedules",),
                    here=('[(row["schedule_id"], row["state"]) for row in project.schedules.list()]',),
                ),
            ),
        ),
        Verb(
            title="`JobQueueManager`: jobs",
            rows=(
                Row(
                    theirs=(
                        'jq.add_job(shots_to_parts, func_kwargs={"shots": 10}, job_id="m-3", queue_name="hall", retry=2, timeout=90, ttl=3600)',
                        'jq.run_job(shots_to_parts, func_kwargs={"shots": 10})',
                    ),
                    here=(
                        'project.submit("mould", inputs={"shots": 10}, run_id="m-3", max_retries=2, timeout=90, deadline=3600)',
                    ),
                    note="""\
A job is a run of a pipeline, never a function that happens to be importable; a module with one function is a pipeline. Its
queue is the pipeline's. `result_ttl` and `failure_ttl` are `ledger.retention`, `on_success` and `on_failure` those of the
pipeline's `run`, `repeat` is a schedule. `group_id`, `meta` and `on_stopped` have no counterpart.""",
                ),
                Row(
                    theirs=("jq.get_jobs()", "jq.jobs", 'jq.get_jobs(queue_name="hall")', "jq.job_ids"),
                    here=(
                        '[(row["run_id"], row["pipeline"]) for row in project.runs.list()]',
                        '[row["run_id"] for row in project.runs.list(pipeline="mould")]',
                    ),
                    note="By queue on the command line: `fp-events runs list --queue-name hall`.",
                ),
                Row(
                    theirs=('jq.get_job("p-1")', 'jq.get_job_result("p-1")'),
                    here=(
                        'project.runs.get("p-1")',
                        'project.runs.show("p-1")["outcome"]',
                        'project.runs.get("p-1").result()',
                    ),
                    note="`delete_result=True` is `project.runs.purge` after it.",
                ),
                Row(
                    theirs=('jq.cancel_job("p-2")',),
                    here=("later.cancel()", "later.cancel()", 'project.runs.cancel("p-3")["cancelled"]'),
                    note="True as long as it is cancelled, False where it had ended otherwise.",
                ),
                Row(
                    theirs=("jq.cancel_all_jobs()", 'jq.cancel_all_jobs(queue_name="hall")'),
                    here=(
                        'waiting = [row["run_id"] for row in project.runs.list(state="queued,running,waiting")]',
                        'len(project.runs.cancel(*waiting)["cancelled"])',
                    ),
                    note="Or `fp-events runs cancel --all`.",
                ),
                Row(
                    theirs=('jq.delete_job("p-1")',),
                    here=('project.runs.purge("p-1")',),
                ),
                Row(
                    theirs=("jq.delete_all_jobs()", 'jq.delete_all_jobs(queue_name="hall")'),
                    here=(
                        'ended = [row["run_id"] for row in project.runs.list(state="finished")]',
                        "project.runs.purge(*ended)",
                    ),
                    note="Or `fp-events runs purge --all`.",
                ),
            ),
        ),
        Verb(
            title="`JobQueueManager`: schedules",
            rows=(
                Row(
                    theirs=(
                        'jq.add_schedule(shots_to_parts, func_kwargs={"shots": 10}, interval=2700, schedule_id="parts")',
                    ),
                    here=(
                        'project.schedules.add("mould", interval=2700, inputs={"shots": 10}, schedule_id="parts")["expression"]',
                    ),
                ),
                Row(
                    theirs=("jq.get_schedules()", "jq.schedules", "jq.schedule_ids"),
                    here=('[row["schedule_id"] for row in project.schedules.list()]',),
                ),
                Row(
                    theirs=('jq.get_schedule("parts")',),
                    here=('project.schedules.show("parts")["request"]',),
                ),
                Row(
                    theirs=('jq.get_schedule_latest_result("parts")', 'jq.get_schedule_result("parts", index=0)'),
                    here=(
                        '[row for row in project.runs.list(pipeline="mould", outcome="succeeded") if row["schedule"] == "parts"]',
                    ),
                    note='It has not fired yet. `project.runs.get(row["run_id"]).result()` has the values of one of them.',
                ),
                Row(
                    theirs=(
                        'jq.pause_schedule("parts")',
                        'jq.resume_schedule("parts")',
                        "jq.pause_all_schedules()",
                        "jq.resume_all_schedules()",
                    ),
                    here=(
                        'project.schedules.pause("parts")',
                        'project.schedules.resume("parts")',
                        "project.schedules.pause()",
                        "project.schedules.resume()",
                    ),
                ),
                Row(
                    theirs=(
                        'jq.cancel_schedule("parts")',
                        'jq.delete_schedule("parts")',
                        "jq.cancel_all_schedules()",
                        "jq.delete_all_schedules()",
                    ),
                    here=('project.schedules.remove("parts")', "project.schedules.remove()"),
                    note="`boiler` is of the project's files, and stays.",
                ),
            ),
        ),
        Verb(
            title="`JobQueueManager`: workers",
            rows=(
                Row(
                    theirs=(
                        'jq.start_worker(background=True, queue_names=["hall"])',
                        "jq.start_worker_pool(num_workers=2, background=True)",
                        "jq.start_scheduler(background=True, interval=60)",
                        "jq.stop_worker()",
                        "jq.stop_worker_pool()",
                        "jq.stop_scheduler()",
                    ),
                    note="Processes are not started from Python: `fp-events serve`, `fp-events worker rq`, and SIGTERM to end them,"
                    " by systemd, a container, or a shell as above.",
                ),
                Row(
                    theirs=("with JobQueueManager() as jq: ...",),
                    here=("project.close()",),
                    note='Or `with Project.load(".") as project`.',
                ),
            ),
        ),
    ),
)
