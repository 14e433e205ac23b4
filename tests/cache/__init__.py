"""Values of nodes that are kept from run to run."""
