"""Runs that there are: listed, cancelled, deleted."""

from __future__ import annotations

from .row import Row, Section, Verb, ended, running

#: What these commands of FlowerPower take beside: which Redis, and which project.
WHERE = "--type rq --name default --base-dir plant --storage-options '{}' --log-level INFO"

JOBS = Section(
    title="Look at jobs, end them, forget them",
    note="""\
A job is a run. `--type`, `--name` and `--storage-options` say where FlowerPower's queue is; here there is one ledger, of
the project in this folder or under `--project`. `kiln` takes ten minutes, so that there is something to cancel; `mould`
is for workers, of which none runs yet.""",
    verbs=(
        Verb(
            title="`job-queue show-jobs`",
            rows=(
                Row(
                    theirs=("job-queue show-jobs", "job-queue get-jobs", f"job-queue show-jobs {WHERE}"),
                    here=(
                        "fp-events trigger kiln -i minutes=10 --run-id k-1",
                        "fp-events trigger mould -i shots=10 --run-id m-1",
                        ended("there"),
                        running("k-1"),
                        running("m-1"),
                        "fp-events runs list",
                    ),
                ),
                Row(
                    theirs=("job-queue show-jobs --format json", "job-queue show-jobs --format yaml"),
                    here=(
                        "fp-events runs list --format json --limit 1",
                        "fp-events runs list --format yaml --pipeline kiln",
                    ),
                ),
                Row(
                    theirs=(
                        "job-queue show-jobs --state queued",
                        "job-queue show-jobs --state started",
                        "job-queue show-jobs --state finished",
                        "job-queue show-jobs --state failed",
                        "job-queue show-jobs --state all",
                    ),
                    here=(
                        "fp-events runs list --state queued,waiting",
                        "fp-events runs list --state running",
                        "fp-events runs list --outcome succeeded --limit 2",
                        "fp-events runs list --state failed",
                        "fp-events runs list --outcome failed",
                    ),
                    note="State and outcome are two things here; all are listed without either."
                    " A run that was handed to workers is `running`, also where none takes it.",
                ),
                Row(
                    theirs=("job-queue show-jobs --queue-name hall",),
                    here=("fp-events runs list --queue-name hall",),
                    note="All pipelines whose executor uses that queue. Other pipelines have none: see `--pipeline`.",
                ),
            ),
        ),
        Verb(
            title="`job-queue show-job-ids`",
            rows=(
                Row(
                    theirs=(
                        "job-queue show-job-ids --state started",
                        "job-queue show-job-ids --queue-name hall",
                        f"job-queue show-job-ids {WHERE}",
                    ),
                    here=(
                        "fp-events runs list --format ids --state running",
                        "fp-events runs list --format ids --queue-name hall",
                    ),
                ),
            ),
        ),
        Verb(
            title="`job-queue get-job`, `job-queue get-job-result`",
            rows=(
                Row(
                    theirs=("job-queue get-job first", "job-queue get-job-result first"),
                    here=(
                        "fp-events runs show first",
                        "fp-events runs show first --json",
                        "fp-events runs watch first",
                    ),
                    note="Values are kept as long as the run is. `runs watch` waits for the end; of a run that failed,"
                    " `runs show` has every attempt with its traceback.",
                ),
            ),
        ),
        Verb(
            title="`job-queue cancel-job`",
            rows=(
                Row(
                    theirs=("job-queue cancel-job k-1", f"job-queue cancel-job k-1 {WHERE}"),
                    here=(
                        "fp-events runs cancel k-1",
                        "fp-events runs list --outcome cancelled",
                        "fp-events runs cancel k-1",
                        "fp-events runs cancel first",
                    ),
                ),
                Row(
                    theirs=("job-queue cancel-job --all --queue-name hall",),
                    here=("fp-events runs cancel --queue-name hall", "fp-events runs cancel --queue-name hall --yes"),
                    note="On a terminal it asks; where nobody can answer, `--yes` is needed.",
                ),
                Row(
                    theirs=("job-queue cancel-job --all",),
                    here=("fp-events runs cancel --all --yes",),
                ),
            ),
        ),
        Verb(
            title="`job-queue delete-job`",
            rows=(
                Row(
                    theirs=("job-queue delete-job first", f"job-queue delete-job first {WHERE}"),
                    here=("fp-events runs purge first --yes", "fp-events runs show first"),
                    note="What has not ended cannot be deleted: cancel it first.",
                ),
                Row(
                    theirs=("job-queue delete-job --all --queue-name hall",),
                    here=("fp-events runs purge --queue-name hall --yes",),
                ),
                Row(
                    theirs=("job-queue delete-job --all",),
                    here=("fp-events runs purge --all --yes", "fp-events runs list"),
                ),
            ),
        ),
    ),
)
