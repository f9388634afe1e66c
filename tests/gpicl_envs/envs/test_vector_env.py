import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.datasets import DATASETS, load_dataset
from gpicl_envs.registration import environments

IDS = [spec.env_id for spec in DATASETS.values()]
REGRESSION_IDS = [env_id for env_id in environments() if env_id not in IDS]
IDS_AND_ACTIONS = [(env_id, action) for env_id in IDS for action in ("label", "logits")]
IDS_AND_ACTIONS += [(env_id, "value") for env_id in REGRESSION_IDS]
SMALL = {"n_features": 16, "length": 6}


def make(env_id: str = "GPICL-Digits-v0", **arguments):
    return gymnasium.make(env_id, **(SMALL | arguments))


def make_vec(env_id: str = "GPICL-Digits-v0", num_envs: int = 3, **arguments):
    return gymnasium.make_vec(env_id, num_envs=num_envs, **(SMALL | arguments))


def play(env, answer) -> tuple[list, list, list]:
    """Step a vector environment through one episode; answer(t, observation) gives the actions."""
    observations, rewards, infos = [env.reset(seed=0)[0]], [], []
    for t in range(SMALL["length"]):
        observation, reward, _, _, info = env.step(answer(t, observations[-1]))
        observations.append(observation)
        rewards.append(reward)
        infos.append(info)
    return observations, rewards, infos


# -- Gymnasium's own rules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", ["label", "reward"])
@pytest.mark.parametrize(("env_id", "action"), IDS_AND_ACTIONS)
def test_check_env_passes(env_id: str, action: str, feedback: str):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(gymnasium.make(env_id, action=action, feedback=feedback).unwrapped)
    avoidable = [
        str(w.message) for w in caught if "infinity" not in str(w.message) and "symmetric" not in str(w.message)
    ]
    assert avoidable == []  # the infinite bounds are the contract: inputs are Gaussian, logits are any numbers


@pytest.mark.parametrize("env_id", IDS)
def test_all_ids_share_the_observation_space(env_id: str):
    assert gymnasium.make(env_id).observation_space == gymnasium.make("GPICL-MNIST-v0").observation_space


@pytest.mark.parametrize("env_id", REGRESSION_IDS)
def test_all_regression_ids_share_theirs(env_id: str):
    expected = gymnasium.make("GPICL-LinearRegression-v0").observation_space
    assert gymnasium.make(env_id).observation_space == expected and expected["y"].shape == (1,)


@pytest.mark.parametrize("action", ["label", "logits"])
@pytest.mark.parametrize("feedback", ["label", "reward"])
def test_vector_observations_lie_in_the_space(action: str, feedback: str):
    env = make_vec(action=action, feedback=feedback)
    env.action_space.seed(0)
    observations, _, _ = play(env, lambda t, o: env.action_space.sample())
    for observation in observations:
        assert env.observation_space.contains({name: value.numpy() for name, value in observation.items()})


# -- One dynamics ------------------------------------------------------------------------------------------------------


def test_stepping_shows_exactly_the_sampled_episodes():
    env, twin = make_vec(), make_vec()
    twin.reset(seed=0)
    twin.unwrapped._numbers[:] = 0
    for _ in range(2):  # two episodes in a row
        episodes = twin.unwrapped.sample_episodes()
        if _ == 0:
            observation, _info = env.reset(seed=0)
        for t in range(SMALL["length"]):
            assert torch.equal(observation["x"], episodes.x[:, t])
            observation, reward, _, _, info = env.step(episodes.y[:, t])
            assert (reward == 1).all()
            if t < SMALL["length"] - 1:
                assert torch.equal(info["label"], episodes.y[:, t])
                assert torch.equal(observation["y"].argmax(1), episodes.y[:, t])


def test_a_numbered_episode_is_that_of_the_stream_and_uses_nothing_up():
    env = make_vec()
    env.reset(seed=4)
    second = env.unwrapped.sample_episodes(1)
    assert torch.equal(env.unwrapped.sample_episodes().x, second.x)
    assert torch.equal(env.unwrapped.sample_episodes(1).x, second.x)


def test_a_single_environment_is_the_row_of_its_seed():
    batch = make_vec()
    rows, rewards, infos = play(batch, lambda t, o: torch.full((3,), t))
    for i in range(3):
        env = make()
        observation, _ = env.reset(seed=i)
        for t in range(SMALL["length"]):
            assert np.array_equal(observation["x"], rows[t]["x"][i]) and np.array_equal(
                observation["y"], rows[t]["y"][i]
            )
            observation, reward, terminated, truncated, info = env.step(t)
            assert reward == rewards[t][i] and not truncated and terminated == (t == SMALL["length"] - 1)
            label = infos[t]["label"] if "label" in infos[t] else infos[t]["final_info"]["label"]
            assert info["label"] == label[i]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_it_behaves_as_gymnasiums_own_vector_of_single_environments(mode: AutoresetMode):
    ours = make_vec(autoreset_mode=mode)
    theirs = gymnasium.vector.SyncVectorEnv([make] * 3, autoreset_mode=mode)
    (a, _), (b, _) = ours.reset(seed=7), theirs.reset(seed=7)
    for t in range(3 * SMALL["length"]):
        assert np.array_equal(a["x"], b["x"]) and np.array_equal(a["y"], b["y"]), t
        actions = np.arange(t, t + 3) % 10
        a, *outcome, info = ours.step(actions)
        b, *expected, expected_info = theirs.step(actions)
        for value, other in zip(outcome, expected, strict=True):
            assert np.array_equal(value, other)
        if "final_obs" in expected_info:
            assert info["_final_obs"].all()
            for i in range(3):
                assert np.array_equal(info["final_obs"]["x"][i], expected_info["final_obs"][i]["x"])
                assert np.array_equal(info["final_obs"]["y"][i], expected_info["final_obs"][i]["y"])
            assert np.array_equal(info["final_info"]["label"], expected_info["final_info"]["label"])
        for key in ("label", "_label", "task_id", "_task_id"):
            assert (key in info) == (key in expected_info), (t, key)
            if key in info:
                assert np.array_equal(info[key], expected_info[key])
        if mode is AutoresetMode.DISABLED and outcome[1].any():
            with pytest.raises(ResetNeeded, match="after the end"):
                ours.step(actions)
            mask = np.ones(3, bool)
            (a, _), (b, _) = (env.reset(options={"reset_mask": mask.copy()}) for env in (ours, theirs))


def test_some_environments_can_begin_anew():
    env = make_vec(autoreset_mode="Disabled")
    before, _ = env.reset(seed=0)
    for _ in range(2):
        running, *_ = env.step(torch.zeros(3, dtype=torch.int64))
    mask = np.array([False, True, False])
    observation, info = env.reset(options={"reset_mask": mask})
    assert torch.equal(observation["x"][[0, 2]], running["x"][[0, 2]]) and (observation["y"][1] == 0).all()
    assert not torch.equal(observation["x"][1], before["x"][1]) and info["_task_id"].tolist() == mask.tolist()
    for _ in range(3):
        _, _, terminated, _, _ = env.step(torch.zeros(3, dtype=torch.int64))
        assert not terminated.any()
    _, _, terminated, _, _ = env.step(torch.zeros(3, dtype=torch.int64))
    assert terminated.tolist() == [True, False, True]
    with pytest.raises(ResetNeeded, match=r"\[0, 2\]"):
        env.step(torch.zeros(3, dtype=torch.int64))


def test_staggered_environments_autoreset_each_at_its_own_end():
    """In SAME_STEP mode, after a partial reset, each environment gets its final observation at its own time."""
    env = make_vec()
    env.reset(seed=0)
    env.step(torch.zeros(3, dtype=torch.int64))
    env.reset(options={"reset_mask": np.array([True, False, False])})
    ends = []
    for _ in range(6):
        observation, _, terminated, _, info = env.step(torch.zeros(3, dtype=torch.int64))
        ends.append(terminated.tolist())
        if terminated.any():
            assert info["_final_obs"].tolist() == terminated.tolist()
            assert (info["final_obs"]["x"][terminated] == 0).all() and (observation["x"][terminated] != 0).any()
            assert info["_label"].tolist() == (~terminated).tolist()
    assert ends[4] == [False, True, True] and ends[5] == [True, False, False]


# -- Seeds -------------------------------------------------------------------------------------------------------------


def test_seeds_repeat_and_differ():
    env = make()
    first = env.reset(seed=5)[0]["x"]
    following = env.reset()[0]["x"]
    assert np.array_equal(env.reset(seed=5)[0]["x"], first) and np.array_equal(env.reset()[0]["x"], following)
    assert not np.array_equal(first, following)
    assert not np.array_equal(env.reset(seed=6)[0]["x"], first)
    assert not np.array_equal(make().reset()[0]["x"], make().reset()[0]["x"])  # unseeded


def test_a_list_of_seeds_gives_each_its_own():
    env = make_vec()
    env.reset(seed=[9, 9, 2])
    x = env.unwrapped.episodes.x
    assert torch.equal(x[0], x[1]) and np.array_equal(x[2, 0], make().reset(seed=2)[0]["x"])


# -- What is shown and paid --------------------------------------------------------------------------------------------


def test_the_hidden_task_explains_what_is_shown():
    env = make("GPICL-MNIST-v0", route="matrix", n_features=784).unwrapped
    observation, _ = env.reset(seed=0)
    index = int(env.episode.index[0, 0])
    image, label = load_dataset("MNIST").x["train"][index], load_dataset("MNIST").y["train"][index]
    mean, deviation = load_dataset("MNIST").moments
    expected = env.task.projection @ ((image.ravel() - mean) / deviation)
    assert np.allclose(observation["x"], expected, atol=1e-4)
    assert env.step(env.task.permutation[label])[1] == 1.0
    assert make().unwrapped.reset() and make("GPICL-MNIST-v0", n_features=784).unwrapped.tasks.route == "cholesky"


def test_the_matrix_of_a_one_off_task_is_not_made():
    env = make("GPICL-MNIST-v0").unwrapped
    env.reset()
    assert env.task.projection is None and env.task.task_id == -1


def test_the_oracle_is_always_right_and_another_never():
    env = make_vec()
    labels = lambda t: env.unwrapped.episodes.y[:, t]  # noqa: E731
    assert torch.stack(play(env, lambda t, o: labels(t))[1]).mean() == 1.0
    assert torch.stack(play(env, lambda t, o: (labels(t) + 1) % 10)[1]).mean() == 0.0


def test_the_label_is_not_shown_before_it_is_answered():
    """Two streams that differ in nothing but the labels to come show the same observations."""
    env = make_vec()
    env.reset(seed=0)
    env.unwrapped.episodes.y[:, 2:] = (env.unwrapped.episodes.y[:, 2:] + 1) % 10
    other = make_vec()
    other.reset(seed=0)
    for _ in range(2):
        changed, *_, info = env.step(torch.zeros(3, dtype=torch.int64))
        plain, *_, other_info = other.step(torch.zeros(3, dtype=torch.int64))
        assert torch.equal(changed["x"], plain["x"]) and torch.equal(changed["y"], plain["y"])
        assert torch.equal(info["label"], other_info["label"])


def test_logits_are_paid_the_log_likelihood():
    env = make_vec(action="logits")
    logits = torch.randn(6, 3, 10, generator=torch.Generator().manual_seed(0))
    _, rewards, _ = play(env, lambda t, o: logits[t])
    episodes = make_vec().unwrapped.tasks.episodes(np.arange(3, dtype=np.uint64), np.zeros(3, np.uint64))
    expected = logits.log_softmax(2).gather(2, episodes.y.T[..., None])[..., 0]
    assert torch.allclose(torch.stack(rewards), expected)


def test_bandit_feedback_tells_whether_it_was_right_and_never_the_label():
    env = make_vec(feedback="reward")
    observations, rewards, _ = play(env, lambda t, o: torch.full((3,), t))
    for t, reward in enumerate(rewards[:-1]):
        expected = torch.zeros(3, 10)
        expected[:, t] = 2 * reward - 1
        assert torch.equal(observations[t + 1]["y"], expected)


def test_bandit_feedback_with_logits_pays_the_likeliest_label_and_no_info_tells_another():
    env = make_vec(feedback="reward", action="logits")
    env.reset(seed=0)
    labels = env.unwrapped.episodes.y[:, 0].clone()
    logits = torch.arange(10.0).expand(3, 10)  # of distinct values: a likelihood would tell which label is true
    _, reward, *_, info = env.step(logits)
    assert torch.equal(reward, (labels == 9).float()) and "label" not in info
    single = make(feedback="reward")
    single.reset(seed=0)
    assert set(single.step(0)[-1]) == {"task_id"}


def test_the_largest_actions_are_paid_finitely():
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


def test_after_the_last_prediction_there_is_no_input():
    env = make()
    env.reset(seed=0)
    for _ in range(SMALL["length"]):
        observation, _, terminated, _, info = env.step(0)
    assert terminated and (observation["x"] == 0).all() and observation["y"][info["label"]] == 1


def test_what_an_agent_does_to_an_observation_does_not_touch_the_episode():
    env = make_vec()
    observation, _ = env.reset(seed=0)
    kept = observation["x"].clone()
    observation["x"].zero_()
    assert torch.equal(env.unwrapped.episodes.x[:, 0], kept)


# -- Bad input ---------------------------------------------------------------------------------------------------------


def test_unknown_ids_are_refused_by_gymnasium():
    with pytest.raises(gymnasium.error.NameNotFound, match="Did you mean"):
        gymnasium.make("GPICL-MNISTT-v0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action": "labels"}, "Unknown action 'labels'. Did you mean 'label'"),
        ({"feedback": "none"}, "Unknown feedback"),
        ({"render_mode": "rgb"}, "Unknown render_mode 'rgb'. Did you mean 'rgb_array'"),
        ({"n_features": 0}, "n_features=0"),
        ({"split": "val"}, "Unknown split"),
        ({"length": 10**6}, "from 1 to 1000"),
        ({"function": "DecisionTree"}, "name two kinds of tasks"),
        ({"autoreset_mode": "foo"}, "Unknown autoreset_mode 'foo'.*Valid: Disabled, NextStep, SameStep"),
        ({"lenght": 5}, "TaskDistribution got an unexpected keyword argument 'lenght'. Did you mean 'length'"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make_vec(**arguments)


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


def test_stepping_before_reset_or_after_the_end():
    env = make().unwrapped
    with pytest.raises(ResetNeeded, match="before the first reset"):
        env.step(0)
    env.reset(seed=0)
    for _ in range(SMALL["length"]):
        env.step(0)
    with pytest.raises(ResetNeeded, match="after the end"):
        env.step(0)
    with pytest.raises(ResetNeeded, match="No episode has begun"):
        make_vec().unwrapped.task  # noqa: B018


@pytest.mark.parametrize("mask", [[True, False], [0, 1, 0], [False] * 3], ids=str)
def test_bad_reset_masks_are_refused(mask):
    env = make_vec(autoreset_mode="Disabled")
    env.reset()
    with pytest.raises(ValueError, match="boolean array of shape"):
        env.reset(options={"reset_mask": np.array(mask)})


@pytest.mark.parametrize(
    ("seed", "message"),
    [([1, 2], "got 2 seeds for 3"), (-1, "seed=-1"), ([0.5] * 3, "seed=0.5"), (1.5, "seed=1.5"), (2**64, "seed=1844")],
    ids=str,
)
def test_bad_seeds_are_refused(seed, message: str):
    with pytest.raises(ValueError, match=message):
        make_vec().reset(seed=seed)


@pytest.mark.gpu
def test_the_environment_lives_on_a_gpu():
    env = make_vec(device="cuda")
    observations, rewards, _ = play(env, lambda t, o: torch.full((3,), t, device="cuda"))
    here, here_rewards, _ = play(make_vec(), lambda t, o: torch.full((3,), t))
    for there, local in zip(observations, here, strict=True):
        assert there["x"].is_cuda and torch.allclose(there["x"].cpu(), local["x"], atol=1e-3)
    assert torch.equal(torch.stack(rewards).cpu(), torch.stack(here_rewards))
