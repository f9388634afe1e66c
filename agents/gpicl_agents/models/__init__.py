"""Sequence models, one a file, on the layers that they share."""
