"""Sequence models that are meta-trained into learning algorithms. One model a file."""
