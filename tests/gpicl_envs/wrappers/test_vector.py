import copy
import doctest
import importlib
import pickle

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as gymnasium_vector
from packaging.version import Version
from small_tasks import assert_same
from torch_surroundings import SURROUNDINGS

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers import PreviousActionAndReward as SinglePrevious
from gpicl_envs.wrappers.vector import (
    FlattenObservation,
    PreviousActionAndReward,
    RecordEpisodeStatistics,
    TorchToNumpy,
    to_numpy,
)

SMALL = {"n_features": 8, "length": 4}
VECTOR_WRAPPERS = [FlattenObservation, PreviousActionAndReward, RecordEpisodeStatistics, TorchToNumpy]
# Two steps, then environment 0 is reset: from there on the environments end at different times.
STAGGER_AT, STAGGERED, STEPS = 2, np.array([True, False, False]), 14


def make(**arguments):
    return gymnasium.make("GPICL-Digits-v0", **(SMALL | arguments))


def make_vec(**arguments):
    return gymnasium.make_vec("GPICL-Digits-v0", num_envs=3, **(SMALL | arguments))


def play(env, tensors: bool = True) -> list:
    """Observations, outcomes and infos of a staggered run, as NumPy; disabled autoreset is done by hand."""
    mode = env.metadata["autoreset_mode"]
    shown = [to_numpy(env.reset(seed=0))]
    for t in range(STEPS):
        if t == STAGGER_AT:
            shown.append(to_numpy(env.reset(options={"reset_mask": STAGGERED.copy()})))
        actions = actions_at(t, env.single_action_space)
        step = to_numpy(env.step(torch.from_numpy(actions) if tensors else actions))
        shown.append(copy.deepcopy(step))  # gymnasium's statistics write into the mask that they gave
        ended = step[2] | step[3]
        if mode is AutoresetMode.DISABLED and ended.any():
            shown.append(to_numpy(env.reset(options={"reset_mask": ended.copy()})))
    return shown


def actions_at(t: int, space) -> np.ndarray:
    """Three different actions, others at every step."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.arange(t, t + 3) % 10
    return np.random.default_rng(t).normal(size=(3, 10)).astype(np.float32)


# -- RecordEpisodeStatistics -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["label", "logits"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_statistics_are_gymnasiums_own(mode: AutoresetMode, action: str):
    """Staggered; around `SyncVectorEnv`, gymnasium's own forgets every environment at a partial reset."""
    if mode is AutoresetMode.SAME_STEP and Version(gymnasium.__version__) < Version("1.4"):
        pytest.skip("before 1.4 gymnasium does not count the first step after an episode's end in this mode")
    ours = RecordEpisodeStatistics(make_vec(autoreset_mode=mode, action=action))
    theirs = gymnasium_vector.RecordEpisodeStatistics(TorchToNumpy(make_vec(autoreset_mode=mode, action=action)))
    ended = 0
    for mine, expected in zip(play(ours), play(theirs, tensors=False), strict=True):
        assert ("episode" in mine[-1]) == ("episode" in expected[-1])
        if "episode" in mine[-1]:
            got, wanted = mine[-1]["episode"], expected[-1]["episode"]
            assert np.allclose(got["r"], wanted["r"], atol=1e-5) and np.array_equal(got["l"], wanted["l"])
            assert np.array_equal(mine[-1]["_episode"], expected[-1]["_episode"])
            assert (got["t"] >= 0).all() and (got["t"][~mine[-1]["_episode"]] == 0).all()
            ended += 1
    assert ended >= 4
    assert np.allclose(ours.return_queue, theirs.return_queue, atol=1e-5)
    assert list(ours.length_queue) == list(theirs.length_queue) == [4] * ours.episode_count


def test_the_oracles_return_is_the_length():
    env = RecordEpisodeStatistics(make_vec(), buffer_length=2)
    env.reset(seed=0)
    for t in range(4):
        *_, info = env.step(env.unwrapped.episodes.y[:, t])
    assert info["episode"]["r"].tolist() == [4.0] * 3 and list(env.return_queue) == [4.0, 4.0]
    assert env.episode_count == 3 and isinstance(info["episode"]["r"], torch.Tensor)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_durations_begin_with_the_episode(mode: AutoresetMode, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("gpicl_envs.wrappers.vector.time.perf_counter", lambda: float(next(clock)))
    env = RecordEpisodeStatistics(make_vec(autoreset_mode=mode))
    play(env)
    assert max(env.time_queue) <= 4 + 2  # readings of the clock: each step, and each reset of others meanwhile


def test_what_waits_for_its_autoreset_is_timed_from_there(monkeypatch):
    """A partial reset of others, between the end of an episode and the step that begins the next, changes nothing."""
    now = [0.0]
    monkeypatch.setattr("gpicl_envs.wrappers.vector.time.perf_counter", lambda: now[0])
    env = RecordEpisodeStatistics(make_vec(autoreset_mode="NextStep", length=2))
    env.reset(seed=0)
    zeros = torch.zeros(3, dtype=torch.int64)
    env.step(zeros)
    env.reset(options={"reset_mask": STAGGERED})
    env.step(zeros)  # environments 1 and 2 end
    env.reset(options={"reset_mask": STAGGERED})
    for now[0] in (100.0, 101.0, 102.0):
        *_, info = env.step(zeros)
    assert info["_episode"].tolist() == [False, True, True] and info["episode"]["t"].tolist() == [0.0, 2.0, 2.0]


def test_a_second_recorder_needs_another_key():
    env = RecordEpisodeStatistics(RecordEpisodeStatistics(make_vec(length=1)))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="give another stats_key"):
        env.step(torch.zeros(3, dtype=torch.int64))
    env = RecordEpisodeStatistics(RecordEpisodeStatistics(make_vec(length=1)), stats_key="outer")
    env.reset(seed=0)
    info = env.step(torch.zeros(3, dtype=torch.int64))[-1]
    assert torch.equal(info["outer"]["r"], info["episode"]["r"]) and info["_outer"].all()


# -- TorchToNumpy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_everything_becomes_numpy(mode: AutoresetMode):
    def leaves(value):
        if isinstance(value, (dict, tuple, list)):
            return [leaf for part in (value.values() if isinstance(value, dict) else value) for leaf in leaves(part)]
        return [value]

    env = TorchToNumpy(RecordEpisodeStatistics(make_vec(autoreset_mode=mode)))
    env.reset(seed=0)
    steps = [env.step(actions_at(t, env.single_action_space)) for t in range(4)]
    assert {type(leaf) for leaf in leaves([env.reset(seed=0), steps])} == {np.ndarray}
    assert ("final_obs" in steps[-1][-1]) == (mode is AutoresetMode.SAME_STEP)
    assert steps[-1][0]["x"].dtype == np.float32 and steps[-1][2].dtype == bool


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(
    "wrap",
    [
        gymnasium_vector.RecordEpisodeStatistics,
        gymnasium_vector.NormalizeReward,
        gymnasium_vector.DictInfoToList,
        lambda env: gymnasium_vector.ClipReward(env, 0.0, 0.5),
    ],
    ids=["RecordEpisodeStatistics", "NormalizeReward", "DictInfoToList", "ClipReward"],
)
def test_gymnasiums_vector_wrappers_take_it(wrap, mode: AutoresetMode):
    """They show what they show around gymnasium's vector of single environments."""
    ours = wrap(TorchToNumpy(make_vec(autoreset_mode=mode)))
    theirs = wrap(SyncVectorEnv([make] * 3, autoreset_mode=mode))
    for mine, expected in zip(play(ours, tensors=False), play(theirs, tensors=False), strict=True):
        assert_same(mine[:-1], expected[:-1])
        if isinstance(mine[-1], list):
            for key in ("label", "task_id", "final_obs", "final_info"):
                assert [info.get(key) is None for info in mine[-1]] == [info.get(key) is None for info in expected[-1]]


@pytest.mark.parametrize(
    "wrap",
    [gymnasium_vector.FlattenObservation, lambda env: gymnasium_vector.FilterObservation(env, ["x"])],
    ids=["FlattenObservation", "FilterObservation"],
)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_gymnasiums_observation_wrappers_take_it_where_they_take_any(wrap, mode: AutoresetMode):
    """Gymnasium's observation wrappers refuse SAME_STEP."""
    ours = wrap(TorchToNumpy(make_vec(autoreset_mode=mode)))
    theirs = wrap(SyncVectorEnv([make] * 3, autoreset_mode=mode))
    for mine, expected in zip(play(ours, tensors=False), play(theirs, tensors=False), strict=True):
        assert_same(mine[0], expected[0])


def test_gymnasium_normalizes_flat_observations():
    env = gymnasium_vector.NormalizeObservation(
        TorchToNumpy(FlattenObservation(make_vec(autoreset_mode="NextStep", length=40)))
    )
    env.reset(seed=0)
    shown = np.stack([env.step(actions_at(t, env.single_action_space))[0] for t in range(200)])
    assert abs(shown[50:, :, :8].std() - 1) < 0.15


# -- FlattenObservation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("previous", [False, True])
def test_flat_rows_are_gymnasiums_of_the_single_environment(previous: bool):
    batch = FlattenObservation(PreviousActionAndReward(make_vec()) if previous else make_vec())
    shown = play(batch)
    for i in range(1, 3):  # those that are not staggered
        env = gymnasium.wrappers.FlattenObservation(SinglePrevious(make()) if previous else make())
        assert env.observation_space == batch.single_observation_space
        observation, _ = env.reset(seed=i)
        rows = iter(step for step in shown[1:] if len(step) == 5)
        assert np.array_equal(shown[0][0][i], observation)
        for t in range(STEPS):
            observation, _, terminated, *_ = env.step(int(actions_at(t, env.action_space)[i]))
            batched = next(rows)
            assert np.array_equal(batched[-1]["final_obs"][i] if terminated else batched[0][i], observation)
            if terminated:
                assert np.array_equal(batched[0][i], env.reset()[0])


def test_the_flat_row_is_x_then_y():
    env = FlattenObservation(make_vec())
    observation, _ = env.reset(seed=0)
    assert torch.equal(observation[:, :8], env.unwrapped.episodes.x[:, 0]) and (observation[:, 8:] == 0).all()
    observation, *_ = env.step(torch.zeros(3, dtype=torch.int64))
    assert torch.equal(observation[:, 8:].argmax(1), env.unwrapped.episodes.y[:, 0])
    assert env.observation_space.contains(observation.numpy())


def test_there_is_nothing_to_flatten_twice():
    with pytest.raises(TypeError, match="needs a Dict of Box observations"):
        FlattenObservation(FlattenObservation(make_vec()))


# -- PreviousActionAndReward -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", ["label", "reward"])
@pytest.mark.parametrize("action", ["label", "logits"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_previous_action_and_reward_are_those_of_the_single_environment(
    mode: AutoresetMode, action: str, feedback: str
):
    ours = PreviousActionAndReward(make_vec(autoreset_mode=mode, action=action, feedback=feedback))
    theirs = SyncVectorEnv([lambda: SinglePrevious(make(action=action, feedback=feedback))] * 3, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    final = 0
    for mine, expected in zip(play(ours), play(theirs, tensors=False), strict=True):
        if len(mine) == 2:  # after a partial reset gymnasium shows its buffer's rows for the others: the same
            assert_same(mine[0], expected[0])
            continue
        assert_same(mine[:-1], expected[:-1])
        assert ours.observation_space.contains(mine[0])
        for i in np.flatnonzero(mine[-1].get("_final_obs", np.zeros(3, bool))):
            assert_same({key: value[i] for key, value in mine[-1]["final_obs"].items()}, expected[-1]["final_obs"][i])
            final += 1
    assert final == (9 if mode is AutoresetMode.SAME_STEP else 0)


def test_it_shows_what_was_done_and_earned_and_forgets_it_at_the_end():
    env = PreviousActionAndReward(make_vec())
    observation, _ = env.reset(seed=0)
    assert (observation["action"] == 0).all() and (observation["reward"] == 0).all()
    for t in range(4):
        label = env.unwrapped.episodes.y[:, t].clone()
        observation, *_, info = env.step(torch.where(torch.arange(3) == 1, label, (label + 1) % 10))
        shown = info.get("final_obs", observation)
        assert shown["reward"][:, 0].tolist() == [0.0, 1.0, 0.0]
        assert shown["action"].argmax(1).tolist() == torch.where(torch.arange(3) == 1, label, (label + 1) % 10).tolist()
    assert (observation["action"] == 0).all() and (observation["reward"] == 0).all()


def test_unread_actions_may_be_any_number():
    """In NEXT_STEP mode, the action of an environment that only begins an episode is not read."""
    env = PreviousActionAndReward(make_vec(autoreset_mode="NextStep", length=2))
    env.reset(seed=0)
    env.step(torch.zeros(3, dtype=torch.int64))
    env.reset(options={"reset_mask": STAGGERED})
    env.step(torch.zeros(3, dtype=torch.int64))  # environments 1 and 2 end
    observation, *_ = env.step(torch.tensor([1, 99, -5]))
    assert observation["action"][0, 1] == 1 and (observation["action"][1:] == 0).all()


def test_what_an_agent_does_to_its_action_does_not_touch_what_is_shown():
    env = PreviousActionAndReward(make_vec(action="logits"))
    env.reset(seed=0)
    actions = torch.ones(3, 10)
    env.step(actions)
    actions.zero_()
    observation, _ = env.reset(options={"reset_mask": STAGGERED})
    assert observation["action"].sum(1).tolist() == [0.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda: PreviousActionAndReward(PreviousActionAndReward(make_vec())), "that has neither"),
        (lambda: PreviousActionAndReward(FlattenObservation(make_vec())), "before FlattenObservation"),
        (lambda: SinglePrevious(SinglePrevious(make())), "that has neither"),
        (lambda: SinglePrevious(gymnasium.make("CartPole-v1")), "Dict of observations"),
        (lambda: RecordEpisodeStatistics(TorchToNumpy(make_vec())), "before TorchToNumpy"),
        (lambda: FlattenObservation(SyncVectorEnv([make])), "gymnasium's own wrappers to NumPy environments"),
    ],
)
def test_wrappers_in_the_wrong_order_are_refused(wrap, message: str):
    with pytest.raises(TypeError, match=message):
        wrap()


# -- What surrounds the calls in torch ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("wrapper", VECTOR_WRAPPERS, ids=lambda wrapper: wrapper.__name__)
@pytest.mark.parametrize("action", ["label", "logits"])
def test_what_surrounds_the_calls_in_torch_changes_nothing(action: str, wrapper, mode: AutoresetMode):
    expected = play(wrapper(make_vec(autoreset_mode=mode, action=action)))
    for surrounding in SURROUNDINGS.values():
        with surrounding():
            shown = play(wrapper(make_vec(autoreset_mode=mode, action=action)))
        assert_same(shown, expected)


@pytest.mark.parametrize("wrapper", [FlattenObservation, PreviousActionAndReward, RecordEpisodeStatistics])
def test_what_was_shown_inside_inference_mode_can_be_trained_on(wrapper):
    """A rollout inside it, an update outside: as PPO does."""
    with torch.inference_mode():
        env = wrapper(make_vec())
        env.reset(seed=0)
        observation, *_ = env.step(torch.zeros(3, dtype=torch.int64))
    x = observation if isinstance(observation, torch.Tensor) else torch.cat([*observation.values()], 1)
    weights = torch.ones(x.shape[1], requires_grad=True)
    (x @ weights).sum().backward()
    assert torch.equal(weights.grad, x.sum(0))
    copy.deepcopy(env).step(torch.zeros(3, dtype=torch.int64))  # what it remembers is no inference tensor either


@pytest.mark.parametrize("wrapper", VECTOR_WRAPPERS, ids=lambda wrapper: wrapper.__name__)
def test_actions_that_carry_gradients_leave_no_graph_behind(wrapper):
    env = wrapper(make_vec(action="logits"))
    env.reset(seed=0)
    weights = torch.zeros(3, 10, requires_grad=True)
    for _ in range(6):
        observation, reward, *_ = env.step(2 * weights)
        shown = [*(observation.values() if isinstance(observation, dict) else [observation]), reward]
        kept = [value for value in vars(env).values() if isinstance(value, torch.Tensor)]
        assert not any(isinstance(tensor, torch.Tensor) and tensor.requires_grad for tensor in [*shown, *kept])


# -- Pickles and specs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("wrapper", VECTOR_WRAPPERS, ids=lambda wrapper: wrapper.__name__)
def test_a_pickled_vector_environment_continues_with_the_same_numbers(wrapper, mode: AutoresetMode):
    """In the middle of an episode, and where episodes have ended: there the wrappers remember most."""
    env = wrapper(make_vec(autoreset_mode=mode))
    for steps in (3, 4):
        env.reset(seed=0)
        for t in range(steps):
            env.step(actions_at(t, env.single_action_space))
        twin = pickle.loads(pickle.dumps(env))
        if mode is AutoresetMode.DISABLED and steps == 4:
            env.reset(), twin.reset()
        for t in range(6 if mode is not AutoresetMode.DISABLED else 1):
            actions = actions_at(t, env.single_action_space)
            assert_same(to_numpy(env.step(actions)), to_numpy(twin.step(actions)))


# -- Documentation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["single", "vector"])
def test_the_examples_run(module: str):
    found = doctest.testmod(importlib.import_module(f"gpicl_envs.wrappers.{module}"))
    assert found.attempted > 0 and found.failed == 0
