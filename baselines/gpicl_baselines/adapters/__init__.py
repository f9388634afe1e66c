"""Adapters: agents and classifiers of other libraries as learners."""
