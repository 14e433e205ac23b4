"""Schedules: made, listed, paused, removed."""

from __future__ import annotations

from .jobs import WHERE
from .row import Row, Section, Verb

SCHEDULING = Section(
    title="Schedule a pipeline",
    verbs=(
        Verb(
            title="`pipeline schedule`",
            rows=(
                Row(
                    theirs=(
                        """pipeline schedule boiler --cron "0 5 * * 1-5" --inputs '{"celsius": 20}' --schedule-id weekdays""",
                        """schedule-pipeline boiler --crontab "0 5 * * 1-5"  # before 0.9""",
                    ),
                    here=(
                        """fp-events schedules add boiler --cron "0 5 * * 1-5" --inputs '{"celsius": 20}' --schedule-id weekdays""",
                    ),
                    note="Without `--schedule-id` it is the pipeline's name.",
                ),
                Row(
                    theirs=(
                        """pipeline schedule boiler --cron '{"minute": "0", "hour": "*/3", "day_of_week": "mon-fri"}'""",
                    ),
                    here=(
                        """fp-events schedules add boiler --cron '{"minute": "0", "hour": "*/3", "day_of_week": "mon-fri"}' -i celsius=20 --id shifts""",
                    ),
                ),
                Row(
                    theirs=("pipeline schedule boiler --interval 45m --schedule-id often --overwrite",),
                    here=(
                        "fp-events schedules add boiler --interval 1h -i celsius=20 --schedule-id often",
                        "fp-events schedules add boiler --interval 45m -i celsius=20 --schedule-id often",
                        "fp-events schedules add boiler --interval 45m -i celsius=20 --schedule-id often --overwrite",
                    ),
                ),
                Row(
                    theirs=(
                        """pipeline schedule boiler --interval '{"weeks": 1, "days": 2, "hours": 3, "minutes": 4, "seconds": 5}'""",
                    ),
                    here=(
                        """fp-events schedules add boiler --interval '{"weeks": 1, "days": 2, "hours": 3, "minutes": 4, "seconds": 5}' -i celsius=20 --id seldom""",
                    ),
                ),
                Row(
                    theirs=("pipeline schedule boiler --date 2035-01-01T03:00:00 --executor local",),
                    here=(
                        "fp-events schedules add boiler --date 2035-01-01T03:00:00 -i celsius=20 --executor local --id new-year",
                    ),
                    note="Without a zone it is that of the schedule, `--timezone`; default UTC.",
                ),
                Row(
                    theirs=("pipeline schedule boiler --cron '0 5 * * *' --interval 1h",),
                    here=("fp-events schedules add boiler --cron '0 5 * * *' --interval 1h -i celsius=20",),
                ),
                Row(
                    theirs=(
                        """pipeline schedule boiler --cron "0 5 * * *" --inputs '{"celsius": 20}' --final-vars '["label"]' --config '{"region": "emea"}'""",
                        """pipeline schedule boiler --cron "0 5 * * *" --cache false --with-adapter '{"tracker": false}' --log-level DEBUG""",
                        """pipeline schedule boiler --cron "0 5 * * *" --max-retries 2 --retry-delay 10 --jitter-factor 0.2""",
                        """pipeline schedule boiler --cron "0 5 * * *" --base-dir plant --storage-options '{}'""",
                    ),
                    here=(
                        """fp-events schedules add boiler --cron "0 5 * * *" --inputs '{"celsius": 20}' --final-vars '["label"]' --config '{"region": "emea"}' --cache false --with-adapter '{"tracker": false}' --log-level DEBUG --max-retries 2 --retry-delay 10 --jitter-factor 0.2 --id daily""",
                    ),
                ),
            ),
        ),
        Verb(
            title="`pipeline schedule_all`",
            rows=(
                Row(
                    theirs=("pipeline schedule_all", "pipeline schedule_all --base-dir plant --storage-options '{}'"),
                    here=(
                        "fp-events schedules list --pipeline boiler",
                        "sed -i.old 's/0 5 1 1/0 6 1 1/' conf/pipelines/boiler.yml",
                        "fp-events schedules sync",
                    ),
                    note="A daemon that starts has scheduled all: `boiler` is of the project's files. Files that were"
                    " changed since are read by `sync`.",
                ),
                Row(
                    theirs=("pipeline schedule_all --overwrite",),
                    here=(
                        "fp-events schedules pause boiler",
                        "fp-events schedules sync --overwrite",
                        "fp-events schedules sync --overwrite",
                    ),
                    note="The files win, over pauses too.",
                ),
                Row(
                    theirs=(
                        "pipeline schedule_all --executor threadpool",
                        "pipeline schedule_all --inputs '{}' --final-vars '[]' --config '{}' --cache '{}' --with-adapter '{}' --log-level INFO",
                    ),
                    note="Not options of a command here: `run` in `conf/project.yml` is for all pipelines, `schedule` in a"
                    " pipeline's YAML for its own runs ([configuration.md](configuration.md)); or, for one start of the daemon,"
                    " `FP_EVENTS_RUN__EXECUTOR__TYPE=threadpool`.",
                ),
            ),
        ),
    ),
)

SCHEDULES = Section(
    title="Look at schedules, pause them, remove them",
    verbs=(
        Verb(
            title="`job-queue show-schedules`",
            rows=(
                Row(
                    theirs=("job-queue show-schedules", "job-queue get-schedules", f"job-queue show-schedules {WHERE}"),
                    here=("fp-events schedules list",),
                ),
                Row(
                    theirs=("job-queue show-schedules --format json", "job-queue show-schedules --format yaml"),
                    here=(
                        "fp-events schedules list --format json --pipeline kiln",
                        "fp-events schedules show new-year --format json",
                        "fp-events schedules show new-year --format yaml",
                    ),
                ),
            ),
        ),
        Verb(
            title="`job-queue show-schedule-ids`, `job-queue get-schedule`",
            rows=(
                Row(
                    theirs=("job-queue show-schedule-ids", f"job-queue show-schedule-ids {WHERE}"),
                    here=("fp-events schedules list --format ids",),
                ),
                Row(theirs=("job-queue get-schedule daily",), here=("fp-events schedules show daily",)),
            ),
        ),
        Verb(
            title="`job-queue pause-schedule`, `job-queue resume-schedule`",
            rows=(
                Row(
                    theirs=(
                        "job-queue pause-schedule often",
                        "job-queue resume-schedule often",
                        f"job-queue pause-schedule often {WHERE}",
                        f"job-queue resume-schedule often {WHERE}",
                    ),
                    here=(
                        "fp-events schedules pause often",
                        "fp-events schedules pause often",
                        "fp-events schedules resume often",
                        "fp-events schedules pause oftn",
                    ),
                ),
                Row(
                    theirs=("job-queue pause-schedule --all", "job-queue pause-all-schedules"),
                    here=("fp-events schedules pause --all", "fp-events schedules list"),
                ),
                Row(
                    theirs=("job-queue resume-schedule --all", "job-queue resume-all-schedules"),
                    here=("fp-events schedules resume --all",),
                ),
            ),
        ),
        Verb(
            title="`job-queue cancel-schedule`, `job-queue delete-schedule`",
            rows=(
                Row(
                    theirs=(
                        "job-queue cancel-schedule often",
                        "job-queue delete-schedule often",
                        f"job-queue cancel-schedule often {WHERE}",
                        f"job-queue delete-schedule often {WHERE}",
                    ),
                    here=("fp-events schedules remove often", "fp-events schedules remove boiler"),
                    note="What the project's files say is removed there, or paused.",
                ),
                Row(
                    theirs=(
                        "job-queue cancel-schedule --all",
                        "job-queue delete-schedule --all",
                        "scheduler remove-all-schedules  # 0.9",
                    ),
                    here=("fp-events schedules remove --all --yes", "fp-events schedules list --format ids"),
                ),
            ),
        ),
    ),
)
