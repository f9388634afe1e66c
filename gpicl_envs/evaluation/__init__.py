"""Learners on the same episodes → learning curves, with intervals; records of them, and comparisons."""
