"""Workers and schedulers."""

from __future__ import annotations

from .row import Row, Section, Verb, fired, idle

WORKERS = Section(
    title="Workers and schedulers",
    note="""\
`fp-events serve` executes runs and fires schedules: without RQ there is no worker to start. It is what these commands have
asked all the time. With RQ, workers take the runs of pipelines whose executor is `rq`; the daemon still receives, schedules
and publishes.""",
    verbs=(
        Verb(
            title="`job-queue start-worker`",
            rows=(
                Row(
                    theirs=(
                        "job-queue start-worker --type rq --num-workers 2 --background --queue-names hall --name hall-a --log-level INFO",
                    ),
                    here=(
                        "fp-events worker rq --num-workers 2 --background --queue-names hall --name hall-a --log-level INFO",
                        "fp-events trigger mould -i shots=10 --run-id m-2 --wait",
                        "kill <pid>",
                    ),
                    note="`--name` names the workers, not a block of settings. Without `--background` it runs until SIGTERM"
                    " or Ctrl-C.",
                ),
                Row(
                    theirs=("job-queue start-worker --queue-names presses",),
                    here=("fp-events worker rq --queue-names presses",),
                    note="A queue is what a pipeline's executor names.",
                ),
                Row(
                    theirs=("job-queue start-worker --job-executor '{\"type\": \"threadpool\"}'",),
                    note="`run.executor` of a pipeline, or of the project: [workers.md](workers.md).",
                ),
                Row(
                    theirs=("job-queue start-worker --base-dir plant --storage-options '{}'",),
                    note="`fp-events --project plant worker rq`",
                ),
            ),
        ),
        Verb(
            title="`job-queue start-scheduler`",
            rows=(
                Row(
                    theirs=(
                        "job-queue start-scheduler --type rq --interval 30 --log-level INFO",
                        "job-queue start-scheduler --background --name default",
                        "job-queue start-scheduler --base-dir plant --storage-options '{}'",
                    ),
                    here=(
                        "fp-events schedules add boiler --interval 1s -i celsius=20 --id pulse",
                        fired("pulse"),
                        "fp-events schedules pause pulse",
                        "fp-events schedules list",
                        "fp-events schedules remove pulse",
                        idle(),
                        "fp-events runs purge --all --yes --json",
                    ),
                    note="`fp-events serve --log-level INFO`, and nothing beside it. There is no `--interval`: it wakes when"
                    " something is due. There is no `--background`: it is [a service](operations.md).",
                ),
            ),
        ),
    ),
)  # fmt: skip
