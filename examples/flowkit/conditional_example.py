"""Two branches, of which one runs."""

from fp_events import DAG, task


@task()
def check():
    return 1500


@task(when=lambda x: x > 1000)
def large_handler(value):
    return f"Large: {value}"


@task(when=lambda x: x <= 1000)
def small_handler(value):
    return f"Small: {value}"


check >> [large_handler, small_handler]

print(DAG("conditional").run())
