import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers import PreviousActionAndReward as SinglePrevious
from gpicl_envs.wrappers.vector import PreviousActionAndReward, RecordEpisodeStatistics

pytest.importorskip("stable_baselines3", reason="needs gpicl-envs[rl]")

from stable_baselines3 import DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecNormalize

from gpicl_envs.wrappers.sb3 import Sb3VecEnv

SMALL = {"n_features": 8, "length": 4}
# One fixed task: what is left is a contextual bandit, which PPO solves in seconds.
FIXED = {"n_tasks": 1, "permute_labels": False, "n_features": 32, "length": 20}


def make(num_envs: int = 3, env_id: str = "GPICL-Digits-v0", **arguments) -> Sb3VecEnv:
    return Sb3VecEnv(env_id, num_envs=num_envs, **(SMALL | arguments))


def make_dummy(wrap=lambda env: env, **arguments) -> DummyVecEnv:
    """SB3's own vector of single environments."""
    return DummyVecEnv([lambda: wrap(gymnasium.make("GPICL-Digits-v0", **(SMALL | arguments)))] * 3)


def actions_at(t: int, action: str) -> np.ndarray:
    if action == "label":
        return np.arange(t, t + 3) % 10
    return np.random.default_rng(t).normal(size=(3, 10)).astype(np.float32)


def assert_same(a, b) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    else:
        assert np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype


# -- The interface -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("feedback", ["label", "reward"])
@pytest.mark.parametrize("action", ["label", "logits"])
def test_it_behaves_as_sb3s_own_vector_of_single_environments(action: str, feedback: str, flatten: bool):
    ours = make(action=action, feedback=feedback, flatten=flatten)
    wrap = gymnasium.wrappers.FlattenObservation if flatten else lambda env: env
    theirs = make_dummy(lambda env: Monitor(wrap(env)), action=action, feedback=feedback)
    assert ours.observation_space == theirs.observation_space
    assert ours.seed(5) == theirs.seed(5)
    assert_same(ours.reset(), theirs.reset())
    for t in range(10):
        observation, reward, done, infos = ours.step(actions_at(t, action))
        expected, expected_reward, expected_done, expected_infos = theirs.step(actions_at(t, action))
        assert_same(observation, expected)
        assert_same(reward, expected_reward)
        assert_same(done, expected_done)
        assert done.all() == (t in (3, 7)) and done.any() == done.all()
        for info, wanted in zip(infos, expected_infos, strict=True):
            if "terminal_observation" not in wanted:
                assert info == {}
                continue
            assert_same(info["terminal_observation"], wanted["terminal_observation"])
            assert info["TimeLimit.truncated"] is wanted["TimeLimit.truncated"] is False
            assert info["episode"]["l"] == wanted["episode"]["l"] == 4
            assert info["episode"]["r"] == pytest.approx(wanted["episode"]["r"], abs=1e-5)
        assert ours.reset_infos == theirs.reset_infos


def test_seeds_are_used_once():
    env = make()
    env.seed(2)
    first, second = env.reset()["x"], env.reset()["x"]
    assert not np.array_equal(first, second)
    env.seed(2)
    assert np.array_equal(env.reset()["x"], first) and np.array_equal(env.reset()["x"], second)


def test_observations_and_infos_are_the_callers_own():
    """SB3 stores the last observation after the next step, and its wrappers write into infos."""
    env = make()
    env.seed(0)
    kept = [env.reset()]
    copies = [{key: value.copy() for key, value in kept[0].items()}]
    for t in range(6):
        observation, _, _, infos = env.step(actions_at(t, "label"))
        assert len({id(info) for info in infos}) == 3
        infos[0]["mine"] = True
        kept.append(observation)
        copies.append({key: value.copy() for key, value in observation.items()})
        for one, copy in zip(kept, copies, strict=True):
            assert_same(one, copy)
        assert "mine" not in infos[1]


def test_a_made_and_wrapped_environment_is_taken():
    batch = gymnasium.make_vec("GPICL-Digits-v0", num_envs=3, **SMALL)
    ours, theirs = (
        Sb3VecEnv(PreviousActionAndReward(batch), flatten=True),
        make_dummy(lambda env: gymnasium.wrappers.FlattenObservation(SinglePrevious(env))),
    )
    ours.seed(0), theirs.seed(0)
    assert_same(ours.reset(), theirs.reset())
    for t in range(5):
        step, expected = ours.step(actions_at(t, "label")), theirs.step(actions_at(t, "label"))
        assert_same(step[0], expected[0])
    assert ours.env_is_wrapped(PreviousActionAndReward) == [True] * 3
    assert ours.env_is_wrapped(RecordEpisodeStatistics, indices=0) == [True]
    assert ours.env_is_wrapped(gymnasium.wrappers.TimeLimit, indices=0) == [False]


def test_attributes_and_methods():
    env = make(render_mode="rgb_array")
    env.reset()
    assert env.get_attr("render_mode") == ["rgb_array"] * 3 and env.get_attr("action", indices=[1]) == ["label"]
    assert env.has_attr("tasks") and not env.has_attr("no_such_attribute")
    env.set_attr("note", 5)
    assert env.env.unwrapped.note == 5 and env.get_attr("note", indices=2) == [5]
    with pytest.raises(ValueError, match="share 'note': set it for all of them"):
        env.set_attr("note", 6, indices=[0])
    first, last = env.env_method("render", indices=[0, 2])
    assert first.shape == last.shape and not np.array_equal(first, last)
    episodes = env.env_method("sample_episodes", 0)
    assert len(episodes) == 3 and episodes[0] is episodes[1]


def test_pictures():
    env = make(render_mode="rgb_array")
    env.reset()
    height, width, _ = env.get_images()[0].shape
    assert env.render().shape == (2 * height, 2 * width, 3)
    with pytest.raises(ValueError, match="render_mode='rgb_array'"):
        make().get_images()


@pytest.mark.parametrize("bound", [10.0, 3.0])
def test_logits_have_finite_bounds(bound: float):
    space = make(action="logits", action_bound=bound).action_space
    assert (space.low == -bound).all() and (space.high == bound).all() and space.shape == (10,)


def test_a_pickled_adapter_continues_with_the_same_numbers():
    env = make(flatten=True)
    env.seed(0)
    env.reset()
    env.step(actions_at(0, "label"))
    twin = pickle.loads(pickle.dumps(env))
    for t in range(6):
        ours, theirs = env.step(actions_at(t, "label")), twin.step(actions_at(t, "label"))
        for a, b in zip(ours[:3], theirs[:3], strict=True):
            assert_same(a, b)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: make(autoreset_mode="NextStep"), "needs an environment with autoreset_mode='SameStep'"),
        (lambda: Sb3VecEnv(gymnasium.make_vec("GPICL-Digits-v0", num_envs=2), num_envs=2), "give one of them"),
        (lambda: Sb3VecEnv(gymnasium.make_vec("GPICL-Digits-v0", num_envs=2), length=2), "'length': 2"),
        (lambda: make(lenght=2), "Did you mean 'length'"),
        (lambda: make(action_bound=0.0), "action_bound=0.0"),
    ],
)
def test_bad_arguments_say_what_is_allowed(wrong, message: str):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_two_recorders_are_refused():
    env = Sb3VecEnv(RecordEpisodeStatistics(gymnasium.make_vec("GPICL-Digits-v0", num_envs=3, length=1)))
    env.reset()
    with pytest.raises(ValueError, match="apply RecordEpisodeStatistics once"):
        env.step(actions_at(0, "label"))


def test_without_stable_baselines3_the_error_names_the_command():
    code = "import sys; sys.modules['stable_baselines3'] = None; import gpicl_envs.wrappers.sb3"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "pip install 'gpicl-envs[rl]'" in done.stderr


# -- SB3's algorithms and wrappers -------------------------------------------------------------------------------------


def test_ppo_learns_far_above_chance():
    """Ten classes, so chance is 10 %. Trained on train images, scored on test images."""
    env = make(64, flatten=True, **FIXED)
    model = PPO(
        "MlpPolicy", env, n_steps=20, batch_size=256, n_epochs=4, gamma=0.0, learning_rate=3e-3, seed=0, device="cpu"
    )
    unseen = make(64, flatten=True, split="test", **FIXED)
    unseen.seed(0)
    before = evaluate_policy(model, unseen, n_eval_episodes=64, warn=False)[0] / 20
    model.learn(64 * 20 * 16)
    after = evaluate_policy(model, unseen, n_eval_episodes=64, warn=False)[0] / 20
    logged = np.mean([episode["r"] for episode in model.ep_info_buffer]) / 20
    assert before < 0.3 and after > 0.7 and logged > 0.7
    assert {episode["l"] for episode in model.ep_info_buffer} == {20}


def test_recurrent_ppo_runs():
    contrib = pytest.importorskip("sb3_contrib", reason="needs gpicl-envs[rl]")
    batch = gymnasium.make_vec("GPICL-Digits-v0", num_envs=8, **SMALL)
    env = Sb3VecEnv(PreviousActionAndReward(batch))
    model = contrib.RecurrentPPO("MultiInputLstmPolicy", env, n_steps=8, batch_size=32, n_epochs=1, seed=0)
    before = [p.clone() for p in model.policy.parameters()]
    model.learn(3 * 64)
    assert model.num_timesteps == 192 and all(p.isfinite().all() for p in model.policy.parameters())
    assert any(not torch.equal(p, q) for p, q in zip(model.policy.parameters(), before, strict=True))


@pytest.mark.parametrize("action", ["label", "logits"])
def test_ppo_takes_the_dict_and_both_kinds_of_action(action: str):
    model = PPO("MultiInputPolicy", make(4, action=action), n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")
    assert model.learn(64).num_timesteps == 64 and len(model.ep_info_buffer) == 16


def test_a_replay_buffer_gets_the_last_observation_of_an_episode():
    model = DQN("MlpPolicy", make(2, flatten=True), learning_starts=100, buffer_size=40, seed=0, device="cpu")
    model.learn(12)
    ends = model.replay_buffer.dones[:6].astype(bool)
    following = model.replay_buffer.next_observations[:6]
    assert ends[3].all() and (following[ends][:, :8] == 0).all()  # after the last prediction there is no input
    assert (following[ends][:, 8:].sum(1) == 1).all() and (following[~ends][:, :8] != 0).any(1).all()


def test_vec_monitor_and_vec_normalize_take_it(tmp_path):
    env = VecNormalize(VecMonitor(make(flatten=True), str(tmp_path / "log")), clip_obs=100.0)
    raw = make(flatten=True)
    env.seed(0), raw.seed(0)
    env.reset(), raw.reset()
    for t in range(4):
        _, _, done, infos = env.step(actions_at(t, "label"))
        _, _, _, expected = raw.step(actions_at(t, "label"))
    assert done.all()
    for info, wanted in zip(infos, expected, strict=True):
        assert info["episode"]["r"] == wanted["episode"]["r"] and info["episode"]["l"] == 4
        assert_same(info["terminal_observation"], env.normalize_obs(wanted["terminal_observation"]))
    env.close()
    assert len((tmp_path / "log.monitor.csv").read_text().splitlines()) == 2 + 3


def test_returns_of_evaluated_policies_are_never_normalised():
    """As over SB3's own vector of environments, each in a `Monitor`."""
    means = []
    for env in (make(flatten=True), make_dummy(lambda env: Monitor(gymnasium.wrappers.FlattenObservation(env)))):
        env.seed(0)
        normalised = VecNormalize(env, norm_obs=False, gamma=0.5)
        model = PPO("MlpPolicy", normalised, n_steps=8, batch_size=8, seed=0, device="cpu")
        model.learn(48)  # from here on rewards are divided by a running deviation
        normalised.training = False
        env.seed(1)
        means.append(evaluate_policy(model, normalised, n_eval_episodes=30))  # warns unless rewards are monitored
    assert means[0] == means[1] and (30 * means[0][0]) % 1 == pytest.approx(0)  # of 30 whole numbers


def test_vec_frame_stack_takes_it():
    env = VecFrameStack(make(flatten=True), 2)
    env.seed(0)
    first = env.reset()
    second, *_ = env.step(actions_at(0, "label"))
    assert first.shape == (3, 36) and np.array_equal(second[:, :18], first[:, 18:])
