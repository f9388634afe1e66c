"""Make an environment and play one episode: a nearest-neighbour agent written against the gymnasium interface.

python examples/play_one_episode.py
"""

import gymnasium
import numpy as np

import gpicl_envs  # noqa: F401 (registers the ids)

env = gymnasium.make("GPICL-MNIST-v0", split="test", render_mode="ansi")
observation, info = env.reset(seed=0)
inputs: list[np.ndarray] = []
labels: list[int] = []
score, done = 0.0, False
while not done:
    x = observation["x"] / np.linalg.norm(observation["x"])
    action = labels[int(np.argmax(np.array(inputs) @ x))] if labels else 0
    observation, reward, terminated, truncated, info = env.step(action)
    inputs.append(x)
    labels.append(info["label"])
    score += float(reward)
    done = terminated or truncated
print(env.render())
print(f"{score:.0f} of {len(labels)} labels were right before they were shown.")
