"""What FlowerPower has: verbs and options of its guide, and of its programs and managers up to 0.11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_RUN = (
    "--inputs", "--final-vars", "--config", "--cache", "--executor", "--with-adapter", "--max-retries", "--retry-delay",
    "--jitter-factor", "--log-level", "--base-dir", "--storage-options",
)  # fmt: skip
_WHERE = ("--type", "--name", "--base-dir", "--storage-options", "--log-level")

#: Verb -> its options.
COMMANDS: Mapping[str, Sequence[str]] = {
    "pipeline run": _RUN,
    "pipeline run_job": _RUN,
    "pipeline add_job": (*_RUN, "--run-at", "--run-in"),
    "pipeline schedule": (*_RUN, "--cron", "--interval", "--date", "--schedule-id", "--overwrite"),
    "pipeline schedule_all": (
        *("--executor", "--overwrite", "--inputs", "--final-vars", "--config", "--cache", "--with-adapter"),
        *("--log-level", "--base-dir", "--storage-options"),
    ),
    "job-queue start-worker": (*_WHERE, "--num-workers", "--background", "--queue-names", "--job-executor"),
    "job-queue start-scheduler": (*_WHERE, "--background", "--interval"),
    "job-queue show-jobs": (*_WHERE, "--format", "--queue-name", "--state"),
    "job-queue show-job-ids": (*_WHERE, "--queue-name", "--state"),
    "job-queue get-job": (),
    "job-queue get-jobs": (),
    "job-queue get-job-result": (),
    "job-queue cancel-job": (*_WHERE, "--all", "--queue-name"),
    "job-queue delete-job": (*_WHERE, "--all", "--queue-name"),
    "job-queue show-schedules": (*_WHERE, "--format"),
    "job-queue show-schedule-ids": _WHERE,
    "job-queue get-schedule": (),
    "job-queue get-schedules": (),
    "job-queue cancel-schedule": (*_WHERE, "--all"),
    "job-queue delete-schedule": (*_WHERE, "--all"),
    "job-queue pause-schedule": (*_WHERE, "--all"),
    "job-queue resume-schedule": (*_WHERE, "--all"),
    "job-queue pause-all-schedules": (),
    "job-queue resume-all-schedules": (),
}

#: Methods and attributes of `PipelineManager` that have to do with jobs.
PIPELINE_MANAGER = ("run", "run_job", "add_job", "schedule", "schedule_all", "schedules")
#: All that `JobQueueManager` has, for RQ and for APScheduler.
JOB_QUEUE_MANAGER = (
    "start_worker", "stop_worker", "start_worker_pool", "stop_worker_pool", "start_scheduler", "stop_scheduler",
    "add_job", "run_job", "get_jobs", "jobs", "job_ids", "get_job", "get_job_result", "cancel_job", "delete_job",
    "cancel_all_jobs", "delete_all_jobs", "add_schedule", "get_schedules", "schedules", "schedule_ids", "get_schedule",
    "get_schedule_latest_result", "get_schedule_result", "cancel_schedule", "delete_schedule", "cancel_all_schedules",
    "delete_all_schedules", "pause_schedule", "resume_schedule", "pause_all_schedules", "resume_all_schedules",
)  # fmt: skip
