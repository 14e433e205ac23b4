"""Two tasks at the same time, and one that waits for both."""

from threading import Barrier

from fp_events import DAG, task

data = 7
result_a = "a"
result_b = "b"
#: Nobody comes past it alone: were the two not to run at the same time, it would break.
both = Barrier(2, timeout=10)


def combine(data, a, b):
    return [data, a, b]


@task()
def fetch():
    return data


@task()
def process_a(data):
    both.wait()
    return result_a


@task()
def process_b(data):
    both.wait()
    return result_b


@task()
def aggregate(data, a, b):
    return combine(data, a, b)


fetch >> [process_a, process_b]
[fetch, process_a, process_b] >> aggregate

dag = DAG("parallel", max_workers=2)
results = dag.run()

print(results)
