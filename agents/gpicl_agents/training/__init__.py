"""Meta-training, from labels or from reward, on one process or many; its settings, checkpoints and progress."""
