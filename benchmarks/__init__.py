"""Paired timings of vcviz beside the bare computation and its peers: ``python -m benchmarks``."""
