"""Actions: what is allowed, rewarded and shown afterwards."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from small_tasks import assert_same, make, make_vec, play
from torch_surroundings import SURROUNDINGS

from gpicl_envs.envs.actions import make_action_type
from gpicl_envs.wrappers import PreviousActionAndReward


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


def test_label_feedback_is_the_true_label_or_value_whatever_was_predicted():
    for action in ("label", "logits"):
        shown = make_action_type(action, "label", 4)
        given = torch.zeros(4, 4) if action == "logits" else torch.zeros(4, dtype=torch.int64)
        assert torch.equal(shown.feedback_for(given, torch.arange(4)), torch.eye(4))
    values = torch.tensor([0.5, -2.0])
    assert make_action_type("value", "label", 1).feedback_for(torch.zeros(2, 1), values).tolist() == [[0.5], [-2.0]]


def test_bandit_feedback_of_every_label_and_value():
    shown, labels = make_action_type("label", "reward", 3), torch.arange(3)
    assert torch.equal(shown.feedback_for(labels, labels), torch.eye(3))
    assert torch.equal(shown.feedback_for(labels, labels.roll(1)), -torch.eye(3))
    of_logits = make_action_type("logits", "reward", 3)
    assert torch.equal(of_logits.feedback_for(torch.eye(3), labels), torch.eye(3))
    assert of_logits.reward(torch.eye(3), torch.tensor([0, 0, 2])).tolist() == [1, 0, 1]
    of_values = make_action_type("value", "reward", 1)
    assert of_values.feedback_for(torch.tensor([[3.0]]), torch.tensor([1.0])).tolist() == [[-4.0]]


def test_whatever_is_given_to_ended_environments_has_feedback():
    """Only active environments are checked, but the feedback of all has the shape (B, K)."""
    shown, active = make_action_type("label", "reward", 3), torch.tensor([True, False, False])
    feedback = shown.feedback_for(shown.parse(np.array([2, 99, -7]), active), torch.tensor([2, 1, 1]))
    assert feedback.tolist() == [[0, 0, 1], [0, 0, -1], [-1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("label", "labels", 3), "Unknown feedback 'labels'. Did you mean 'label'. Valid: label, reward"),
        (("value", "label", 3), "Unknown action 'value'.*Valid: label, logits"),
        (("label", "label", 1), "Unknown action 'label'.*Valid: value"),
    ],
)
def test_unknown_actions_and_feedback_list_the_valid_ones(arguments: tuple, message: str):
    with pytest.raises(ValueError, match=message):
        make_action_type(*arguments)


@pytest.mark.parametrize(
    ("arguments", "space", "feedback"),
    [
        ((None, "label", 3), Discrete(3), Box(0, 1, (3,))),
        (("label", "reward", 3), Discrete(3), Box(-1, 1, (3,))),
        (("logits", "label", 3), Box(-np.inf, np.inf, (3,)), Box(0, 1, (3,))),
        ((None, "label", 1), Box(-np.inf, np.inf, (1,)), Box(-np.inf, np.inf, (1,))),
        (("value", "reward", 1), Box(-np.inf, np.inf, (1,)), Box(-np.inf, 0, (1,))),
    ],
)
def test_actions_and_feedback_have_spaces(arguments: tuple, space, feedback):
    made = make_action_type(*arguments)
    assert made.action_space == space and made.feedback_space == feedback


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
        ("label", [1, 2], r"must be one number, given shape \(2,\)"),
        ("logits", np.zeros((2, 5)), r"given shape \(2, 5\)"),
        ("logits", 1.0, r"given shape \(\)"),
        ("logits", [float("nan")] * 10, "logit nan: give finite float32 logits"),
        ("logits", [float("inf")] * 10, "logit inf"),
        ("logits", [1e300] * 10, "logit inf"),
        ("label", None, "An action must be one number, given None"),
        ("logits", "text", r"An action must be numbers of shape \(10,\), given 'text'"),
        ("logits", [0.0] * 9, r"must be numbers of shape \(10,\), given shape \(9,\)"),
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


# -- One action in many forms ------------------------------------------------------------------------------------------

THREE = [3, np.int8(3), np.array(3), np.array([3]), np.array([[3]]), [3], torch.tensor(3), torch.tensor([3]), (3,)]


@pytest.mark.parametrize("wrap", [lambda env: env, PreviousActionAndReward], ids=["plain", "PreviousActionAndReward"])
@pytest.mark.parametrize("action", THREE, ids=repr)
def test_a_label_may_come_as_an_array_of_one(action, wrap):
    """As policies that know batches alone return it."""
    env, other = wrap(make()), wrap(make())
    env.reset(seed=0), other.reset(seed=0)
    for _ in range(3):
        assert_same(env.step(action), other.step(3))


SCORES = np.linspace(-1, 1, 10, dtype=np.float32)


@pytest.mark.parametrize("wrap", [lambda env: env, PreviousActionAndReward], ids=["plain", "PreviousActionAndReward"])
@pytest.mark.parametrize(
    "action",
    [SCORES.tolist(), SCORES[None], SCORES[:, None], torch.from_numpy(SCORES)[None]]
    + [torch.tensor(SCORES, requires_grad=True), SCORES.astype(np.float64)],
    ids=["list", "(1, 10)", "(10, 1)", "tensor (1, 10)", "with gradients", "float64"],
)
def test_so_may_logits(action, wrap):
    env, other = wrap(make(action="logits")), wrap(make(action="logits"))
    env.reset(seed=0), other.reset(seed=0)
    for _ in range(3):
        assert_same(env.step(action), other.step(SCORES))


@pytest.mark.parametrize("action", [0.5, [0.5], np.array([[0.5]]), torch.tensor(0.5)], ids=repr)
def test_so_may_values(action):
    env, other = make("GPICL-LinearRegression-v0"), make("GPICL-LinearRegression-v0")
    env.reset(seed=0), other.reset(seed=0)
    assert_same(env.step(action), other.step(np.array([0.5], np.float32)))


def test_a_batch_of_actions_may_be_a_list_of_tensors():
    env, other = make_vec(), make_vec()
    env.reset(seed=0), other.reset(seed=0)
    assert torch.equal(env.step([torch.tensor(k) for k in (1, 2, 3)])[1], other.step(np.array([1, 2, 3]))[1])


def test_lists_of_scores_keep_their_precision_whatever_torch_makes_by_default():
    env, other = make_vec(action="logits"), make_vec(action="logits")
    env.reset(seed=0), other.reset(seed=0)
    with SURROUNDINGS["bfloat16 by default"]():
        reward = env.step([SCORES.tolist()] * 3)[1]
    assert torch.equal(reward, other.step(np.stack([SCORES] * 3))[1])
