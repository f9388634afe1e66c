import json
import signal
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from small_envs import AIM, aiming

import gpicl_envs  # noqa: F401
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.rl2 import RL2
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.checkpoint import latest_checkpoint, load_learner
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.random_state import seeded
from gpicl_agents.training.reinforce import _RewardTrainer, train_from_reward
from gpicl_agents.training.run_setup import set_up
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.wrappers.vector import TorchToNumpy
from gpicl_envs.wrappers.vector_random_projection import VectorRandomProjection

SMALL = {"width": 32, "n_heads": 1, "input_rank": 32, "similarity_bias": 10.0}


def venv(batch: int = 8, **arguments):
    given = {"n_features": 32, "n_classes": 3, "length": 20, "feedback": "label"} | arguments
    return gymnasium.make_vec("GPICL-Digits-v0", num_envs=batch, **given)


@pytest.mark.parametrize("feedback", ["label", "reward"])
def test_learning_to_learn_emerges_from_reward_alone(feedback: str):
    """On real digits: from a third at first to well above it at the end of the episodes."""
    learner, last = Transformer(32, 3, **SMALL), []
    config = RewardConfig(steps=100, learning_rate=6e-3, warmup_steps=10)
    train_from_reward(learner, venv(32, feedback=feedback), config, report=lambda p: last.append(p.accuracy))
    assert sum(last[:5]) / 5 < 0.42 and sum(last[-20:]) / 20 > 0.55


def test_labels_that_are_not_rewarded_teach_nothing():
    """With every reward 0 nothing is learned, though bandit episodes have labels inside."""
    learner = Transformer(32, 3, **SMALL)
    env = venv(feedback="reward")
    env.unwrapped.action_type.reward = lambda action, target: torch.zeros(len(action))
    before = [p.clone() for p in learner.parameters()]
    train_from_reward(learner, env, RewardConfig(steps=3, entropy=0.0))
    assert all(torch.equal(a, b) for a, b in zip(before, learner.parameters(), strict=True))


def test_the_seed_fixes_everything_and_the_global_stream_is_left_alone():
    def weights(seed: int) -> torch.Tensor:
        learner = GRU(32, 3, width=8, input_rank=8)
        train_from_reward(learner, venv(), RewardConfig(steps=3, epochs=2, seed=seed))
        return torch.nn.utils.parameters_to_vector(learner.parameters())

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(weights(0), weights(0)) and not torch.equal(weights(0), weights(1))
    assert torch.rand(1) == expected


def test_the_folder_holds_metrics_and_the_learner(tmp_path: Path):
    learner = GRU(32, 3, width=8, input_rank=8)
    train_from_reward(learner, venv(), RewardConfig(steps=4), folder=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 4] and all(0 <= line["reward"] <= 1 for line in lines[:4])
    assert 0 < lines[4]["unseen-task_return"] < 20
    x, y = torch.randn(2, 5, 32), torch.zeros(2, 5, dtype=torch.int64)
    assert torch.equal(load_learner(tmp_path).predict(x, y), learner.predict(x, y))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (make_learner("knn", n_features=32, n_classes=3), venv()), "needs a SequenceAgent"),
        (lambda: (GRU(32, 3, input_rank=8), venv(action="logits")), "action='label'"),
        (lambda: (GRU(32, 3, input_rank=8), venv(1)), "num_envs=1 leaves no other episode"),
        (lambda: (GRU(32, 4, input_rank=8), venv()), "made for n_classes=4, but the tasks have 3"),
        (lambda: (RL2(32, 3, input_rank=8), venv()), "feedback='reward'"),
        (
            lambda: (GRU(32, 3, input_rank=8, continuous_actions=True), venv()),
            "continuous_actions=True, but .* has labels",
        ),
    ],
    ids=["learner", "action", "batch", "classes", "feedback", "continuous"],
)
def test_what_cannot_be_trained_is_refused(make, message: str):
    with pytest.raises(ValueError, match=message):
        train_from_reward(*make())


def test_rl2_trains_on_bandit_feedback():
    progress = train_from_reward(RL2(32, 3, width=16, input_rank=8), venv(feedback="reward"), RewardConfig(steps=2))
    assert progress.step == 2


def test_a_run_that_is_killed_and_resumed_draws_the_same_actions(tmp_path: Path):
    """Bandits, whose actions decide what they are shown."""
    config = RewardConfig(steps=7, checkpoint_every=2, evaluate_every=3, evaluate_problems=4)

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise RuntimeError

    def learner() -> RL2:
        return RL2(32, 3, width=8, input_rank=8)

    whole, again = learner(), learner()
    train_from_reward(whole, venv(feedback="reward"), config, folder=tmp_path / "whole")
    with pytest.raises(RuntimeError):
        train_from_reward(learner(), venv(feedback="reward"), config, folder=tmp_path / "part", report=stop)
    assert latest_checkpoint(tmp_path / "part").name == "step-00000004"
    with pytest.raises(ValueError, match="holds a run already"):
        train_from_reward(learner(), venv(feedback="reward"), config, folder=tmp_path / "part")
    train_from_reward(again, venv(feedback="reward"), config, folder=tmp_path / "part", resume=True)
    assert torch.equal(*(torch.nn.utils.parameters_to_vector(made.parameters()) for made in (whole, again)))
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "part")]
    assert texts[0] == texts[1] and texts[0].count("\n") == 7 + 3


def bandit(batch: int = 64, **arguments):
    given = {"n_arms": 2, "length": 20, "autoreset_mode": "Disabled"} | arguments
    return gymnasium.make_vec("GPICL-Bandit-v0", num_envs=batch, **given)


def policy(**arguments) -> GRU:
    return GRU(3, 2, width=16, input_rank=0, normalize_inputs=False, value_head=True, **arguments)


PPO = {"epochs": 2, "minibatches": 2, "discount": 0.95, "evaluate_problems": 200}


def test_a_policy_learns_to_explore_and_exploit():
    """Two arms, 20 pulls on average 10 by chance, at most 13.3; unseen bandits."""
    found = []
    config = RewardConfig(steps=60, learning_rate=1e-2, warmup_steps=5, evaluate_every=30, **PPO)
    train_from_reward(policy(), bandit(), config, report=lambda p: found.append(p.returned) if p.evaluated else None)
    assert len(found) == 2 and found[-1] > 11.0


def test_rewards_that_are_all_equal_teach_no_preference():
    venv = bandit()
    venv.unwrapped.distribution.transition = lambda problems, state, action, n: (state, np.ones(len(state), np.float32))
    learner = policy()
    train_from_reward(learner, venv, RewardConfig(steps=5, entropy=0.0, gae_lambda=1.0, evaluate_every=0, **PPO))
    x, feedback = torch.zeros(1, 4, 3), torch.zeros(1, 4, 2)
    assert (learner(x, feedback).softmax(2) - 0.5).abs().max() < 0.2


def test_training_on_rl_problems_resumes_bit_for_bit(tmp_path: Path):
    config = RewardConfig(steps=6, checkpoint_every=2, evaluate_every=4, **PPO)

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise RuntimeError

    whole, again = policy(), policy()
    train_from_reward(whole, bandit(n_tasks=7), config, folder=tmp_path / "whole")
    with pytest.raises(RuntimeError):
        train_from_reward(policy(), bandit(n_tasks=7), config, folder=tmp_path / "part", report=stop)
    train_from_reward(again, bandit(n_tasks=7), config, folder=tmp_path / "part", resume=True)
    assert torch.equal(*(torch.nn.utils.parameters_to_vector(made.parameters()) for made in (whole, again)))
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "part")]
    assert texts[0] == texts[1]
    for changed, message in ((bandit(n_tasks=8), "n_tasks=7, now 8"), (bandit(32, n_tasks=7), "batch_size=64, now 32")):
        with pytest.raises(ValueError, match=message):
            train_from_reward(policy(), changed, config, folder=tmp_path / "part", resume=True)
    assert load_learner(tmp_path / "part").value_head


def test_training_ends_at_its_target_and_stays_there(tmp_path: Path):
    config = RewardConfig(steps=50, evaluate_every=2, target=5.0, **PPO)
    for resume in (False, True):
        progress = train_from_reward(policy(), bandit(), config, folder=tmp_path, resume=resume)
        assert progress.step == 2 and progress.stopped == "target"


def test_an_interrupted_run_is_saved_and_logs_nothing_more_than_one_that_was_not(tmp_path: Path):
    config = RewardConfig(steps=5, checkpoint_every=0, evaluate_every=2, **PPO)

    def interrupt(progress: Progress) -> None:
        if progress.step == 2:
            signal.raise_signal(signal.SIGINT)

    whole, again = policy(), policy()
    train_from_reward(whole, bandit(), config, folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_from_reward(policy(), bandit(), config, folder=tmp_path / "part", report=interrupt)
    assert latest_checkpoint(tmp_path / "part").name == "step-00000003"
    train_from_reward(again, bandit(), config, folder=tmp_path / "part", resume=True)
    assert torch.equal(*(torch.nn.utils.parameters_to_vector(made.parameters()) for made in (whole, again)))
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "part")]
    assert texts[0] == texts[1]


def test_a_policy_learns_to_act_by_real_numbers():
    """At first its actions are drawn from N(0, 1), which earns about −8; where to aim is seen, so 0 is possible."""
    found: list[float] = []
    with aiming():
        learner, venv = set_up("gru,width=16", batch_size=32, env=AIM, wrapping={"trials": 2})
        assert learner.continuous_actions and learner.log_std.tolist() == [0.0]
        changed = {"discount": 0.5, "evaluate_every": 24, "evaluate_problems": 50}
        config = RewardConfig(steps=25, learning_rate=1e-2, warmup_steps=5, **PPO | changed)
        train_from_reward(
            learner, venv, config, report=lambda p: found.append(-p.loss * 8 if not p.evaluated else p.returned)
        )
    assert found[0] < -5 and found[-1] > -2.5 and learner.log_std.item() < -0.3


def test_training_on_problems_made_of_an_environment_resumes_bit_for_bit(tmp_path: Path):
    """Two projections of real actions; what they are is in the folder, and so is the return of each episode."""
    config = RewardConfig(steps=5, checkpoint_every=2, evaluate_every=4, **PPO | {"evaluate_problems": 6})
    wrapping = {"trials": 2, "project": 3, "n_actions": 2, "n_projections": 2}

    def train(folder: str, resume: bool = False, report=None, **changes):
        learner, venv = set_up("gru,width=8", batch_size=4, env=AIM, wrapping=wrapping | changes)
        train_from_reward(learner, venv, config, folder=tmp_path / folder, resume=resume, report=report)
        return torch.nn.utils.parameters_to_vector(learner.parameters())

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise RuntimeError

    with aiming():
        whole = train("whole")
        with pytest.raises(RuntimeError):
            train("part", report=stop)
        assert torch.equal(whole, train("part", resume=True))
        with pytest.raises(ValueError, match="n_projections=2, now 3; trials=2, now 4"):
            train("part", resume=True, trials=4, n_projections=3)
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "part")]
    assert texts[0] == texts[1]
    evaluated = [line for line in map(json.loads, texts[0].splitlines()) if "unseen-task_return" in line]
    assert [line["step"] for line in evaluated] == [4, 5]
    for line in evaluated:
        episodes = line["unseen-task_episode_return"]
        assert len(episodes) == 2 and sum(episodes) == pytest.approx(line["unseen-task_return"], abs=1e-3)
    assert load_learner(tmp_path / "part").continuous_actions


def test_a_target_of_unseen_problems_needs_a_way_to_make_them():
    venv = VectorRandomProjection(TorchToNumpy(bandit(8)), 3)
    config = RewardConfig(steps=2, target=1.0, **PPO)
    with pytest.raises(ValueError, match="leave the target out, or make the environment by WrappedProblems"):
        train_from_reward(GRU(5, 2, width=16, input_rank=0, normalize_inputs=False, value_head=True), venv, config)


def test_a_process_that_resumes_draws_actions_of_its_own(tmp_path: Path):
    """The checkpoint has the state of the main process's generator, which the others must not continue."""
    config = RewardConfig(steps=2, evaluate_every=0, **PPO)
    train_from_reward(policy(), bandit(8), config, folder=tmp_path)
    drawn = []
    for rank in (0, 1, 2):
        trainer = _RewardTrainer(policy(), bandit(8), config, tmp_path, ())
        trainer.processes.rank, trainer.run.writes = rank, False
        with seeded(0):
            trainer.begin(resume=True)
            drawn.append(torch.rand(4).tolist())
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
