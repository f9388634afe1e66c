"""The environments: the vector environment holds the dynamics, the single one is its batch of one."""
