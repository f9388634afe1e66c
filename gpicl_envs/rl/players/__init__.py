"""Players of in-context RL problems: algorithms with guarantees, and players that know the hidden environment."""
