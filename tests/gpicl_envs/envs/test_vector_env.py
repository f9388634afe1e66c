import inspect

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from small_tasks import EVERY_KIND, EVERY_VARIANT, SMALL, make, make_vec, play
from torch_surroundings import SURROUNDINGS

import gpicl_envs
from gpicl_envs.registration import environments


@pytest.mark.parametrize("action", ["label", "logits"])
@pytest.mark.parametrize("feedback", ["label", "reward"])
def test_vector_observations_lie_in_the_space(action: str, feedback: str):
    env = make_vec(action=action, feedback=feedback)
    env.action_space.seed(0)
    observations, _, _ = play(env, lambda t, o: env.action_space.sample())
    for observation in observations:
        assert env.observation_space.contains({name: value.numpy() for name, value in observation.items()})


def test_environments_at_different_positions_show_their_own_inputs():
    env = make_vec(num_envs=2, autoreset_mode="Disabled")
    observation, _ = env.reset(seed=0)
    for _ in range(SMALL["length"] - 1):
        observation, *_ = env.step(torch.zeros(2, dtype=torch.int64))
    last = observation["x"][0].clone()
    observation, _ = env.reset(options={"reset_mask": np.array([False, True])})
    assert torch.equal(observation["x"][0], last) and torch.equal(last, env.unwrapped.episodes.x[0, -1])
    assert torch.equal(observation["x"][1], env.unwrapped.episodes.x[1, 0])


def test_the_largest_seeds_are_those_whose_streams_have_64_bits():
    env = make_vec(num_envs=3)
    assert env.reset(seed=2**64 - 3)[0]["x"].shape == (3, 16)
    with pytest.raises(ValueError, match="seed=18446744073709551614 is not allowed"):
        env.reset(seed=2**64 - 2)


def test_without_a_render_mode_there_is_no_picture():
    env = make_vec()
    env.reset(seed=0)
    assert env.unwrapped.render() is None


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


def test_some_environments_can_be_reset_alone():
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


def test_a_list_of_seeds_gives_each_its_own():
    env = make_vec()
    env.reset(seed=[9, 9, 2])
    x = env.unwrapped.episodes.x
    assert torch.equal(x[0], x[1]) and np.array_equal(x[2, 0], make().reset(seed=2)[0]["x"])


# -- What is shown and rewarded ----------------------------------------------------------------------------------------


def test_the_oracle_is_always_right_and_another_never():
    env = make_vec()
    labels = lambda t: env.unwrapped.episodes.y[:, t]  # noqa: E731
    assert torch.stack(play(env, lambda t, o: labels(t))[1]).mean() == 1.0
    assert torch.stack(play(env, lambda t, o: (labels(t) + 1) % 10)[1]).mean() == 0.0


def test_the_label_is_not_shown_before_it_is_predicted():
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


def test_what_an_agent_does_to_an_observation_does_not_touch_the_episode():
    env = make_vec()
    observation, _ = env.reset(seed=0)
    kept = observation["x"].clone()
    observation["x"].zero_()
    assert torch.equal(env.unwrapped.episodes.x[:, 0], kept)


# -- Bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action": "labels"}, "Unknown action 'labels'. Did you mean 'label'"),
        ({"feedback": "none"}, "Unknown feedback"),
        ({"render_mode": "rgb"}, "Unknown render_mode 'rgb'. Did you mean 'rgb_array'"),
        ({"n_features": 0}, "n_features=0"),
        ({"split": "val"}, "Unknown split"),
        ({"length": 10**6}, "from 1 to 1000"),
        ({"function": "DecisionTree"}, "name 2 kinds of tasks"),
        ({"autoreset_mode": "foo"}, "Unknown autoreset_mode 'foo'.*Valid: Disabled, NextStep, SameStep"),
        ({"lenght": 5}, "TaskDistribution got an unexpected keyword argument 'lenght'. Did you mean 'length'"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make_vec(**arguments)


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


def test_help_shows_every_variant():
    for kind in (gpicl_envs.InContextVectorEnv, gpicl_envs.InContextEnv):
        shown = inspect.signature(kind).parameters
        assert inspect.signature(gpicl_envs.FunctionDistribution).parameters.keys() <= shown.keys()
        _, *variants = inspect.signature(gpicl_envs.TaskDistribution).parameters.values()
        assert all(shown[variant.name].default == variant.default for variant in variants)
    assert "num_envs" not in inspect.signature(gpicl_envs.InContextEnv).parameters


# -- What surrounds the calls in torch ---------------------------------------------------------------------------------

KINDS = [
    *({"env_id": env_id} for env_id in environments()),
    *({"env_id": "GPICL-Digits-v0"} | kind for kind in EVERY_KIND + EVERY_VARIANT if "dataset" not in kind),
    *({"env_id": "GPICL-Digits-v0", "action": action, "feedback": "reward"} for action in ("label", "logits")),
]


def play_all_calls(env_id: str, **arguments) -> list:
    """Everything that an environment shows: whole episodes, steps over an end, resets by mask, the hidden task."""
    sizes = {"n_features": 64, "length": 14}
    env = gymnasium.make_vec(env_id, num_envs=2, **(sizes | arguments), autoreset_mode="NextStep")
    shown: list = [env.reset(seed=0)]
    episodes = env.unwrapped.sample_episodes()
    shown += [(episodes.x.clone(), episodes.y.clone(), episodes.index.clone())]
    for t in range(env.unwrapped.tasks.length + 3):
        env.single_action_space.seed(t)
        shown.append(env.step(np.stack([env.single_action_space.sample() for _ in range(2)])))
    shown.append(env.reset(options={"reset_mask": [True, False]}))
    task = env.unwrapped.task
    return [*shown, *(task.parameters or {}).values(), task.projection]


def leaves(nest) -> list[torch.Tensor]:
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, (list, tuple)):
        return [leaf for inner in nest for leaf in leaves(inner)]
    return [] if nest is None else [nest]


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_what_surrounds_the_calls_in_torch_changes_nothing(arguments: dict):
    expected = leaves(play_all_calls(**arguments))
    for name, surrounding in SURROUNDINGS.items():
        with surrounding():
            shown = leaves(play_all_calls(**arguments))
        for tensor, plain in zip(shown, expected, strict=True):
            assert tensor.dtype == plain.dtype and torch.equal(tensor, plain), name


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_steps_inside_and_outside_inference_mode_may_alternate(mode: AutoresetMode):
    env, twin = make_vec(autoreset_mode=mode), make_vec(autoreset_mode=mode)
    env.reset(seed=0), twin.reset(seed=0)
    for t in range(2 * SMALL["length"]):
        with torch.inference_mode(t % 2 == 0):
            if mode is AutoresetMode.DISABLED and t == SMALL["length"]:
                options = {"reset_mask": torch.tensor([True, True, True])}
                env.reset(options=options), twin.reset(options=options)
            if t == 3:
                options = {"reset_mask": torch.tensor([True, False, False])}
                env.reset(options=options), twin.reset(options=options)
            if mode is AutoresetMode.DISABLED and t == SMALL["length"] + 3:
                return
            observation, reward, *_ = env.step(torch.full((3,), t % 10))
        expected, expected_reward, *_ = twin.step(torch.full((3,), t % 10))
        assert torch.equal(observation["x"], expected["x"]) and torch.equal(reward, expected_reward)
        assert not any(tensor.is_inference() for tensor in (*observation.values(), reward))


@pytest.mark.parametrize(("env_id", "size"), [("GPICL-Digits-v0", 10), ("GPICL-LinearRegression-v0", 1)])
def test_actions_that_carry_gradients_leave_no_graph_behind(env_id: str, size: int):
    """Neither in what is shown nor in the environment, where it would grow from step to step."""
    kind = {"action": "logits"} if size == 10 else {}
    env = make_vec(env_id, **kind)
    env.reset(seed=0)
    weights = torch.zeros(3, size, requires_grad=True)
    for _ in range(2 * SMALL["length"]):
        observation, reward, *_ = env.step(2 * weights)
        assert not any(tensor.requires_grad for tensor in (*observation.values(), reward))
        kept = [value for value in vars(env.unwrapped).values() if isinstance(value, torch.Tensor)]
        assert kept and not any(tensor.requires_grad for tensor in kept)


def test_no_label_is_shown_where_the_next_episode_begins():
    """Next-step: the step after the last one begins an episode; nothing was predicted, neither here nor elsewhere."""
    env = make_vec(num_envs=2, autoreset_mode="NextStep")
    env.reset(seed=0)
    for _ in range(SMALL["length"]):
        info = env.step(torch.zeros(2, dtype=torch.int64))[4]
    assert (info["label"] >= 0).all()
    _, reward, _, _, info = env.step(torch.zeros(2, dtype=torch.int64))
    assert "label" not in info and (reward == 0).all()


def test_an_environment_that_begins_its_next_episode_predicts_nothing_while_others_do():
    """Next-step, with episodes that end at different times."""
    env = make_vec(num_envs=2, autoreset_mode="NextStep", action="logits")
    env.reset(seed=0)
    logits = torch.randn(2, env.unwrapped.tasks.n_classes)
    env.step(logits)
    env.reset(seed=1, options={"reset_mask": np.array([False, True])})
    for _ in range(SMALL["length"] - 1):
        _, _, terminated, _, _ = env.step(logits)
    assert terminated.tolist() == [True, False]
    observation, reward, _, _, info = env.step(logits)
    assert info["label"].tolist()[0] == -1 and info["label"][1] >= 0
    assert reward[0] == 0 and reward[1] < 0
    assert not observation["y"][0].any() and observation["y"][1].sum() == 1
