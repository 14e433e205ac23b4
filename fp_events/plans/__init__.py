"""The only place that knows Hamilton: modules become plans."""
