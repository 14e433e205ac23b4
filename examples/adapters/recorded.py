"""What MLflow knows of the boilers."""

from mlflow.tracking import MlflowClient

client = MlflowClient("mlruns")
experiment = client.get_experiment_by_name("boilers")
for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"]):
    print(run.info.status, run.data.params, run.data.metrics, run.data.tags.get("fp_events.error", ""))
