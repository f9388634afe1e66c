"""Learners that are not meta-trained: what a sequence model has to beat. One family a file."""
