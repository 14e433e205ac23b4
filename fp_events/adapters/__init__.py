"""Adapters of other libraries: MLflow, OpenTelemetry, Hamilton UI, Ray, and a progress bar.

Each is an object of Hamilton's lifecycle, made from plain settings once per pipeline and process, so that it works in
the workers of every executor. What is wrong with an adapter or its server never fails a run: it is counted and logged.
"""
