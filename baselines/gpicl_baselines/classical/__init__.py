"""Learners that compute their prediction from the examples at once."""
