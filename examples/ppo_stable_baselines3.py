"""Stable-baselines3's PPO on 64 environments at once: one fixed problem, which needs no memory to learn.

python examples/ppo_stable_baselines3.py
With `permute_labels=True` and new tasks, every episode is another problem: that needs memory, such as sb3-contrib's
RecurrentPPO, and far more than seconds. `examples/ppo_cleanrl_style.py` shows a problem that a GRU learns in half a
minute.
"""

import sys

import numpy as np

try:
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy
except ImportError:
    print("This example needs stable-baselines3: pip install 'gpicl-envs[rl]'.")
    sys.exit(0)

from gpicl_envs.wrappers.sb3 import Sb3VecEnv

LENGTH, N_CLASSES = 20, 10


def make(split: str) -> Sb3VecEnv:
    """Ten handwritten digits under one random projection to 32 features."""
    return Sb3VecEnv(
        "GPICL-Digits-v0",
        num_envs=64,
        flatten=True,
        n_tasks=1,
        permute_labels=False,
        n_features=32,
        length=LENGTH,
        split=split,
    )


env, test = make("train"), make("test")
env.seed(0)
test.seed(0)
# gamma=0: a prediction does not change what comes later.
model = PPO(
    "MlpPolicy", env, n_steps=LENGTH, batch_size=256, n_epochs=4, gamma=0.0, learning_rate=3e-3, seed=0, device="cpu"
)
model.learn(24 * LENGTH * env.num_envs)
correct = np.mean(evaluate_policy(model, test, n_eval_episodes=256, warn=False)[0])
print(f"{100 * correct / LENGTH:.1f} % of the labels of test images are right; chance is {100 / N_CLASSES:.0f} %.")
