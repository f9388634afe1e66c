"""Actions: what is allowed, rewarded and shown afterwards."""

import numpy as np
import pytest
import torch
from small_tasks import make, make_vec, play


def test_logits_are_rewarded_by_the_log_likelihood():
    env = make_vec(action="logits")
    logits = torch.randn(6, 3, 10, generator=torch.Generator().manual_seed(0))
    _, rewards, _ = play(env, lambda t, o: logits[t])
    episodes = make_vec().unwrapped.tasks.episodes(np.arange(3, dtype=np.uint64), np.zeros(3, np.uint64))
    expected = logits.log_softmax(2).gather(2, episodes.y.T[..., None])[..., 0]
    assert torch.allclose(torch.stack(rewards), expected)


def test_bandit_feedback_shows_whether_it_was_right_and_never_the_label():
    env = make_vec(feedback="reward")
    observations, rewards, _ = play(env, lambda t, o: torch.full((3,), t))
    for t, reward in enumerate(rewards[:-1]):
        expected = torch.zeros(3, 10)
        expected[:, t] = 2 * reward - 1
        assert torch.equal(observations[t + 1]["y"], expected)


def test_bandit_feedback_with_logits_rewards_the_most_likely_label_and_no_info_reveals_another():
    env = make_vec(feedback="reward", action="logits")
    env.reset(seed=0)
    labels = env.unwrapped.episodes.y[:, 0].clone()
    logits = torch.arange(10.0).expand(3, 10)  # of distinct values: a likelihood would reveal the true label
    _, reward, *_, info = env.step(logits)
    assert torch.equal(reward, (labels == 9).float()) and "label" not in info
    single = make(feedback="reward")
    single.reset(seed=0)
    assert set(single.step(0)[-1]) == {"task_id"}


def test_the_largest_actions_have_finite_rewards():
    for env_id, action in (("GPICL-Digits-v0", [[1e15] + [-1e15] * 9] * 3), ("GPICL-DecisionTree-v0", [[1e15]] * 3)):
        env = make_vec(env_id, **({"action": "logits"} if "Digits" in env_id else {}))
        env.reset(seed=0)
        assert env.step(torch.tensor(action))[1].isfinite().all()


def test_numpy_actions_of_any_memory_are_taken():
    env, other = make_vec(), make_vec()
    env.reset(seed=0), other.reset(seed=0)
    fixed = np.array([1, 2, 3])
    fixed.flags.writeable = False
    assert torch.equal(env.step(fixed)[1], other.step(np.array([3, 2, 1])[::-1])[1])


@pytest.mark.parametrize(
    ("kind", "action", "message"),
    [
        ("label", 10, "Action 10 is out of range: give a label from 0 to 9"),
        ("label", -1, "Action -1 is out of range"),
        ("label", 0.5, "must be integer labels.*action='logits'"),
        ("label", [1, 2], "must have shape"),
        ("logits", [float("nan")] * 10, "logit nan: give finite float32 logits"),
        ("logits", [float("inf")] * 10, "logit inf"),
        ("logits", [1e300] * 10, "logit inf"),
        ("label", None, "actions must be numbers"),
        ("logits", [0.0] * 9, "must have shape"),
    ],
    ids=str,
)
def test_bad_actions_are_refused_and_nothing_is_lost(kind: str, action, message: str):
    env = make(action=kind)
    observation, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.unwrapped.step(action)
    good = 0 if kind == "label" else np.zeros(10, np.float32)
    other = make(action=kind)
    other.reset(seed=0)
    assert np.array_equal(env.step(good)[0]["x"], other.step(good)[0]["x"])
