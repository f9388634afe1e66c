"""Learners as scikit-learn estimators, for data of one's own."""
