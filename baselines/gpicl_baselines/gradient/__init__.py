"""Learners that take gradient steps within the episode, from a given or a meta-trained start."""
