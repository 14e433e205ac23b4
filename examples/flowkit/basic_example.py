"""Extract, transform, load: three tasks in a row."""

from fp_events import DAG, task

SAVED = []


def fetch_data():
    return [1, 2, 3]


def process(data):
    return [item * 10 for item in data]


def save_to_db(data):
    SAVED.extend(data)


@task(retries=3)
def extract():
    return fetch_data()


@task()
def transform(data):
    return process(data)


@task()
def load(data):
    save_to_db(data)


extract >> transform >> load

dag = DAG("my_pipeline")
results = dag.run()

print(results, SAVED)
