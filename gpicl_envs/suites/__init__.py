"""Frozen benchmark suites: their definitions, and the benchmark that runs learners on them."""
