"""Runs: in the foreground, and by the daemon, now or later."""

from __future__ import annotations

from .row import Row, Section, Verb

FOREGROUND = Section(
    title="Run a pipeline here and now",
    note="Neither a daemon nor a broker is needed. The exit code tells how the run ended.",
    verbs=(
        Verb(
            title="`pipeline run`",
            rows=(
                Row(
                    theirs=("""pipeline run boiler --inputs '{"celsius": 20}'""",),
                    here=("""fp-events run boiler --inputs '{"celsius": 20}'""", "fp-events run boiler -i celsius=20"),
                ),
                Row(
                    theirs=("""pipeline run boiler --inputs '{"celsius": 20}' --final-vars '["kelvin", "label"]'""",),
                    here=(
                        """fp-events run boiler --inputs '{"celsius": 20}' --final-vars '["kelvin", "label"]'""",
                        "fp-events run boiler -i celsius=20 -o kelvin",
                    ),
                    note="Nodes that a pipeline's `outputs` name are computed beside them.",
                ),
                Row(
                    theirs=("""pipeline run boiler --inputs '{"celsius": 20}' --config '{"region": "emea"}'""",),
                    here=("""fp-events run boiler --inputs '{"celsius": 20}' --config '{"region": "emea"}'""",),
                ),
                Row(
                    theirs=(
                        "pipeline run boiler --cache true",
                        """pipeline run boiler --cache '{"recompute": ["kelvin"]}'""",
                        "pipeline run boiler --cache false",
                    ),
                    here=(
                        "fp-events run boiler -i celsius=20 --cache true",
                        "fp-events cache stats",
                        """fp-events run boiler -i celsius=20 --cache '{"recompute": ["kelvin"]}'""",
                        "fp-events run boiler -i celsius=20 --cache false",
                    ),
                ),
                Row(
                    theirs=(
                        "pipeline run boiler --executor threadpool",
                        """pipeline run boiler --executor '{"type": "threadpool", "max_workers": 4}'""",
                    ),
                    here=(
                        "fp-events run boiler -i celsius=20 --executor threadpool",
                        """fp-events run boiler -i celsius=20 --executor '{"type": "threadpool", "max_workers": 4}'""",
                    ),
                ),
                Row(
                    theirs=("""pipeline run boiler --with-adapter '{"progressbar": true, "tracker": false}'""",),
                    here=(
                        """fp-events run boiler -i celsius=20 --with-adapter '{"progressbar": true, "tracker": false}'""",
                    ),
                    note="On a terminal there is a bar.",
                ),
                Row(
                    theirs=("pipeline run boiler --max-retries 2 --retry-delay 0.1 --jitter-factor 0.2",),
                    here=(
                        "fp-events run boiler -i celsius=-300 --max-retries 2 --retry-delay 0.1 --jitter-factor 0.2",
                    ),
                    note="A delay may have a unit: `--retry-delay 10s`.",
                ),
                Row(
                    theirs=("pipeline run boiler --log-level DEBUG",),
                    here=("fp-events run boiler -i celsius=20 --log-level DEBUG",),
                    note="The levels are the same: DEBUG, INFO, WARNING, ERROR, CRITICAL.",
                ),
                Row(
                    theirs=("pipeline run boiler --base-dir plant --storage-options '{}'",),
                    here=("fp-events --project . run boiler -i celsius=20",),
                    note="`--project` takes a URL too; what its file system needs comes from the environment:"
                    " [filesystems.md](filesystems.md).",
                ),
            ),
        ),
    ),
)

DAEMON = Section(
    title="Hand a run to the daemon",
    note="""\
What `job-queue start-worker` and `start-scheduler` are for, `fp-events serve` does. A run is in its ledger before its
id is printed. `run_job` puts a pipeline into the queue at once, `add_job` also later; here both are `trigger`.""",
    verbs=(
        Verb(
            title="`pipeline add_job`, `pipeline run_job`",
            rows=(
                Row(
                    theirs=(
                        """pipeline add_job boiler --inputs '{"celsius": 20}'""",
                        """pipeline run_job boiler --inputs '{"celsius": 20}'""",
                    ),
                    here=(
                        """fp-events trigger boiler --inputs '{"celsius": 20}'""",
                        "fp-events trigger boiler -i celsius=20 --run-id first --wait",
                    ),
                    note="An id of one's own runs once, however often it is asked for; without one there is a new one.",
                ),
                Row(
                    theirs=(
                        """pipeline add_job boiler --inputs '{"celsius": 20}' --final-vars '["label"]' --config '{"region": "emea"}'""",
                        """pipeline run_job boiler --inputs '{"celsius": 20}' --final-vars '["label"]' --config '{"region": "emea"}'""",
                    ),
                    here=(
                        """fp-events trigger boiler --inputs '{"celsius": 20}' --final-vars '["label"]' --config '{"region": "emea"}' --run-id europe --wait""",
                    ),
                ),
                Row(
                    theirs=(
                        """pipeline add_job boiler --cache '{"recompute": ["kelvin"]}' --executor threadpool --with-adapter '{"mlflow": false}' --log-level DEBUG""",
                        """pipeline run_job boiler --cache false --executor '{"type": "threadpool", "max_workers": 4}' --with-adapter '{"tracker": false}' --log-level DEBUG""",
                    ),
                    here=(
                        """fp-events trigger boiler -i celsius=20 --cache '{"recompute": ["kelvin"]}' --executor threadpool --with-adapter '{"mlflow": false}' --log-level DEBUG --run-id cached --wait""",
                        """fp-events trigger boiler -i celsius=20 --cache false --executor '{"type": "threadpool", "max_workers": 4}' --with-adapter '{"tracker": false}' --run-id anew --wait""",
                        "fp-events runs show cached",
                    ),
                    note="What a run does otherwise than its pipeline is its `request`, and holds after a restart.",
                ),
                Row(
                    theirs=(
                        "pipeline add_job boiler --max-retries 1 --retry-delay 0.1 --jitter-factor 0.2",
                        "pipeline run_job boiler --max-retries 1 --retry-delay 0.1 --jitter-factor 0.2",
                    ),
                    here=(
                        "fp-events trigger boiler -i celsius=-300 --max-retries 1 --retry-delay 0.1 --jitter-factor 0.2 --run-id cold --wait",
                        "fp-events dlq list",
                    ),
                ),
                Row(
                    theirs=("pipeline add_job boiler --run-at 2035-12-25T08:00:00",),
                    here=(
                        "fp-events trigger boiler -i celsius=20 --run-at 2035-12-25T08:00:00 --run-id christmas",
                        "fp-events runs show christmas",
                    ),
                    note="Without a zone it is the time of the machine on which the command is given, here UTC.",
                ),
                Row(
                    theirs=("pipeline add_job boiler --run-in 2h30m",),
                    here=(
                        "fp-events trigger boiler -i celsius=20 --run-in 2h30m --run-id evening",
                        "fp-events runs list --state waiting",
                    ),
                ),
                Row(
                    theirs=("pipeline add_job boiler --base-dir plant --storage-options '{}'",
                            "pipeline run_job boiler --base-dir plant --storage-options '{}'"),
                    here=("fp-events --project . trigger boiler -i celsius=20 --run-id there",),
                    note="A daemon elsewhere is asked with `--by`: [commands.md](commands.md#from-another-machine).",
                ),
            ),
        ),
    ),
)  # fmt: skip
