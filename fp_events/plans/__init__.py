"""The only place that knows Hamilton: modules become plans.

`catalogue.Catalogue` compiles and checks them, `graph` draws them. Importing this package imports neither Hamilton
nor pandas; compiling the first plan does.
"""
