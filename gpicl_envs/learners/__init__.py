"""The protocol of learners, the registry that finds a learner by name, and the checks of the protocol."""
