"""The paper's experiments: one file each, run by one engine (`sweep.py`), their figures made from records alone."""
