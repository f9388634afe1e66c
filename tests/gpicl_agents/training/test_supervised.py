import math
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest
import torch
from small_training import QUICK, metrics, small_env, small_learner, weights

import gpicl_envs
from gpicl_agents.training.checkpoint import latest_checkpoint, load_learner
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import TrainConfig, env_seeds, train
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.calls import LearnerCheckError
from gpicl_envs.learners.registry import learner_targets, make_learner


def test_training_learns_to_learn():
    """On real digits, within seconds: the loss falls, and the last predictions on unseen tasks beat the first."""
    learner, losses = small_learner(width=64, input_rank=32), []
    config = TrainConfig(steps=120, learning_rate=6e-3, warmup_steps=20, evaluate_every=120, evaluate_episodes=128)
    progress = train(learner, small_env(16, length=40), config, report=lambda p: losses.append(p.loss))
    assert losses[0] == pytest.approx(2.3026, abs=1e-3)  # log 10: it starts uniform
    assert sum(losses[-10:]) / 10 < 2.0
    accuracy = progress.curve.scores.mean(0)
    assert accuracy[0] < 0.25 and accuracy[-10:].mean() > 0.5
    assert progress.curve.tasks["split"] == "test" and progress.curve.tasks["n_tasks"] is None


def test_training_runs_share_no_streams_with_each_other_or_with_evaluation():
    streams = [set(env_seeds(seed, 64)) for seed in range(20)]
    assert len(set.union(*streams)) == 20 * 64 and min(set.union(*streams)) > 10**9


def test_a_gradient_that_is_not_finite_stops():
    class Root(gpicl_envs.Learner, torch.nn.Module):
        """A square root at 0: finite, with an infinite slope."""

        def __init__(self) -> None:
            super().__init__(32, 10)
            self.scale = torch.nn.Parameter(torch.zeros(10))

        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.scale.sqrt().expand(*y.shape, 10)

    learner = Root()
    with pytest.raises(FloatingPointError, match="gradient's norm is (inf|nan) at step 0"):
        train(learner, small_env(), TrainConfig(steps=2, evaluate_every=0))
    assert learner.scale.isfinite().all()


def test_training_does_not_touch_the_global_random_stream():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train(small_learner(), small_env(), TrainConfig(steps=2, evaluate_every=0))
    assert torch.rand(1) == expected


def test_the_seed_fixes_everything():
    ends = []
    for seed in (1, 1, 2):
        learner = small_learner()
        train(learner, small_env(), TrainConfig(steps=5, seed=seed, evaluate_every=0))
        ends.append(weights(learner))
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_time_can_end_the_schedule():
    progress = train(small_learner(), small_env(), TrainConfig(steps=10**6, max_seconds=0.5, evaluate_every=0))
    assert 0.5 <= progress.seconds < 2 and progress.step < 10**6 and progress.learning_rate < 1e-3


def test_unlimited_tasks_and_few_tasks_both_train():
    for n_tasks in (None, 2):
        assert train(small_learner(), small_env(n_tasks=n_tasks), TrainConfig(steps=2, evaluate_every=0)).step == 2


def test_a_model_of_the_user_s_own_trains():
    class Linear(gpicl_envs.Learner, torch.nn.Module):
        """Mean label, scaled: one parameter."""

        def __init__(self) -> None:
            super().__init__(32, 10)
            self.scale = torch.nn.Parameter(torch.zeros(()))

        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            labels = torch.nn.functional.one_hot(y, 10).float()
            return self.scale * (labels.cumsum(1) - labels)

    learner = Linear()
    gpicl_envs.check_learner(learner)
    train(learner, small_env(), TrainConfig(steps=3, evaluate_every=0))
    assert learner.scale != 0


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path: Path):
    def poison(progress: Progress) -> None:
        if progress.step == 6:
            learner.read_out.bias.data.fill_(torch.nan)

    learner = small_learner()
    config = TrainConfig(steps=9, checkpoint_every=5, evaluate_every=0, seed=4)
    with pytest.raises(FloatingPointError, match=r"The loss is nan at step 6 \(seed 4\): lower the learning rate"):
        train(learner, small_env(), config, folder=tmp_path, report=poison)
    assert all(parameter.isfinite().all() for parameter in load_learner(tmp_path).parameters())


@pytest.mark.parametrize(
    ("learner", "env", "message"),
    [
        (lambda: make_learner("knn"), lambda: small_env(), "1-nn-cosine has no parameters to train"),
        (lambda: small_learner(), lambda: small_env(n_features=16), "made for n_features=32, but the tasks have 16"),
        (lambda: small_learner(), lambda: gymnasium.make_vec("CartPole-v1"), "needs a vector environment from"),
    ],
)
def test_what_cannot_be_trained_is_refused(learner, env, message: str):
    with pytest.raises(ValueError, match=message):
        train(learner(), env(), QUICK)


def test_accumulated_batches_train_as_one_large_batch():
    """Two batches of 4 are not the batch of 8 streams, but their mean gradient is that of all their episodes."""
    config = TrainConfig(steps=1, warmup_steps=0, evaluate_every=0, accumulate=2, clip_norm=1e9)
    accumulated, losses = small_learner(), []
    train(accumulated, small_env(), config, report=lambda p: losses.append((p.loss, p.gradient_norm)))
    env, whole = small_env().unwrapped, small_learner()
    env.reset(seed=env_seeds(0, 4))
    both = [env.sample_episodes(i) for i in range(2)]
    x, y = torch.cat([episodes.x for episodes in both]), torch.cat([episodes.y for episodes in both])
    loss = torch.nn.functional.cross_entropy(whole.predict(x, y).flatten(0, 1), y.flatten())
    loss.backward()
    norm = torch.cat([p.grad.flatten() for p in whole.parameters() if p.grad is not None]).norm()
    assert losses == [(pytest.approx(loss.item(), abs=1e-6), pytest.approx(norm.item(), rel=1e-4))]


def test_training_stops_at_its_target(tmp_path: Path):
    config = replace(QUICK, target=0.01, steps=40)
    progress = train(small_learner(), small_env(), config, folder=tmp_path)
    assert progress.stopped == "target" and progress.step == 4
    assert latest_checkpoint(tmp_path).name == "step-00000004"


def test_memory_that_does_not_suffice_says_what_to_lower(monkeypatch: pytest.MonkeyPatch):
    learner = small_learner()

    def too_much(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    monkeypatch.setattr(learner, "predict", too_much)
    message = r"Step 0 does not fit into the memory of cpu: lower the batch size \(batch_size=4 episodes of length=10\)"
    with pytest.raises(MemoryError, match=message):
        train(learner, small_env(), QUICK)


def test_a_tensor_too_large_for_this_machine_is_a_memory_error(monkeypatch: pytest.MonkeyPatch):
    """What the CPU's allocator says, not a fake of it."""
    learner = small_learner()
    monkeypatch.setattr(learner, "predict", lambda x, y: torch.empty(1 << 50))
    with pytest.raises(MemoryError, match="lower the batch size"):
        train(learner, small_env(), QUICK)


def test_bf16_trains_close_to_float32():
    def losses(precision: str) -> list[float]:
        kept: list[float] = []
        config = replace(QUICK, precision=precision, evaluate_every=0)
        train(small_learner(), small_env(), config, report=lambda p: kept.append(p.loss))
        return kept

    assert losses("bf16") == pytest.approx(losses("float32"), abs=0.05) and losses("bf16") != losses("float32")


def test_the_end_of_the_plateau_is_logged(tmp_path: Path):
    config = TrainConfig(steps=120, learning_rate=6e-3, warmup_steps=20, evaluate_every=0)
    learner = small_learner(width=64, input_rank=32)
    progress = train(learner, small_env(16, length=40), config, folder=tmp_path)
    assert progress.plateau_end is not None and 5 < progress.plateau_end < 120
    assert [line["plateau_end"] for line in metrics(tmp_path) if "plateau_end" in line] == [progress.plateau_end]


TRAINABLE = [name for name, target in learner_targets().items() if target.startswith("gpicl_agents")]


@pytest.mark.parametrize("name", [name for name in TRAINABLE if not name.startswith("rl2")])
def test_every_sequence_model_trains_in_bf16(name: str):
    venv = gymnasium.make_vec("GPICL-Clusters-v0", num_envs=2, n_features=16, length=12)
    learner = make_learner(name, n_features=16, n_classes=10, seed=1)
    config = TrainConfig(steps=2, precision="bf16", evaluate_every=0)
    assert 1 < train(learner, venv, config).loss < 6


def test_a_learner_that_sees_its_label_is_not_trained():
    class Leaks(Learner, torch.nn.Module):
        def __init__(self, n_features: int = 784, n_classes: int = 10) -> None:
            super().__init__(n_features, n_classes)
            self.scale = torch.nn.Parameter(torch.ones(()))

        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.scale * torch.nn.functional.one_hot(y, self.n_classes).float()

    with pytest.raises(LearnerCheckError, match="Not causal"):
        train(Leaks(32), small_env(), TrainConfig(steps=1))
    with pytest.raises(ValueError, match="Linear is not a Learner: derive it from `Learner, nn.Module`, in this order"):
        train(torch.nn.Linear(2, 2), small_env(), TrainConfig(steps=1))


def test_the_loss_is_of_the_true_labels_whatever_a_learner_does_to_its_own():
    """Behaves in the check, whose episodes are shorter."""

    class Zeroes(gpicl_envs.Learner, torch.nn.Module):
        def __init__(self) -> None:
            super().__init__(32, 10)
            self.bias = torch.nn.Parameter(torch.zeros(10))

        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            if self.training:
                y.zero_()
            return (self.bias + 9 * torch.eye(10)[0]).expand(*y.shape, 10)

    progress = train(Zeroes(), small_env(), TrainConfig(steps=1, evaluate_every=0))
    assert progress.loss > 5 and progress.accuracy < 0.5


@pytest.mark.parametrize(
    ("env_id", "sizes"),
    [
        ("GPICL-GeneralMixture-v0", {}),
        ("GPICL-SyntheticTables-v0", {}),
        ("GPICL-SyntheticTables-v0", {"n_classes": 1}),
    ],
    ids=str,
)
def test_a_model_trains_on_tables_and_mixtures(env_id: str, sizes: dict[str, int]):
    venv = gymnasium.make_vec(env_id, num_envs=4, n_features=32, length=10, **sizes)
    learner = gpicl_envs.make_learner("multi-kernel-transformer", tasks=venv.unwrapped.tasks)
    before = weights(learner).clone()
    progress = train(learner, venv, TrainConfig(steps=2, warmup_steps=1, evaluate_every=2, evaluate_episodes=8))
    assert progress.step == 2 and math.isfinite(progress.loss) and not torch.equal(weights(learner), before)


def test_the_report_can_stop_the_training_which_is_saved(tmp_path: Path):
    def stop(progress: Progress) -> None:
        progress.stopped = "seen enough" if progress.step == 2 else ""

    progress = train(small_learner(), small_env(), replace(QUICK, steps=10**6), folder=tmp_path, report=stop)
    assert progress.step == 2 and progress.stopped == "seen enough"
    assert latest_checkpoint(tmp_path).name == "step-00000002"
