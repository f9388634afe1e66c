"""Adapters that turn agents and classifiers of other libraries into learners."""
