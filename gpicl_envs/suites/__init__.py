"""Frozen benchmark definitions, and the benchmark over them."""
