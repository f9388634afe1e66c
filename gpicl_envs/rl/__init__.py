"""In-context reinforcement learning: several episodes in one hidden environment, in which actions matter."""
