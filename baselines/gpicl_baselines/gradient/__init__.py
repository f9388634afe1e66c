"""Learners that take gradient steps within the episode, from given or meta-trained initial weights."""
