import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest
import torch
from rich.console import Console

import gpicl_envs  # noqa: F401
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.checkpoint import latest_checkpoint, load_learner
from gpicl_agents.training.presets import PRESETS, find_preset
from gpicl_agents.training.progress import LiveReport
from gpicl_agents.training.supervised import Progress, TrainConfig, stream_seeds, train
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.check import LearnerCheckError
from gpicl_envs.learners.registry import learner_targets, make_learner
from gpicl_envs.tasks.classification import TaskDistribution

QUICK = TrainConfig(
    steps=12, learning_rate=6e-3, warmup_steps=3, evaluate_every=4, evaluate_episodes=8, checkpoint_every=5
)


def small_env(batch: int = 4, **arguments):
    return gymnasium.make_vec("GPICL-Digits-v0", num_envs=batch, **({"n_features": 32, "length": 10} | arguments))


def small_learner(**arguments) -> Transformer:
    return Transformer(32, 10, **({"width": 16, "n_heads": 1, "input_rank": 8, "similarity_bias": 8.0} | arguments))


def weights(learner: torch.nn.Module) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(learner.parameters())


def metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


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


def test_the_run_folder_tells_the_story(tmp_path: Path):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 13))
    evaluations = [line for line in lines if "unseen-task_final" in line]
    assert [line["step"] for line in evaluations] == [4, 8, 12] and len(evaluations[0]["unseen-task_accuracy"]) == 10
    rates = [line["learning_rate"] for line in lines if "loss" in line]
    assert rates[0] == pytest.approx(6e-3 / 3) and max(rates) == rates[2] and rates[-1] == pytest.approx(6e-3 / 12)
    assert latest_checkpoint(tmp_path).name == "step-00000012"


def test_resuming_ends_with_the_same_bits(tmp_path: Path):
    whole, part = small_learner(), small_learner()
    train(whole, small_env(), QUICK, folder=tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.step == 7:
            raise Stop

    with pytest.raises(Stop):
        train(part, small_env(), QUICK, folder=tmp_path / "part", report=stop)
    again = small_learner(seed=9)  # whatever it starts from is overwritten
    train(again, small_env(), QUICK, folder=tmp_path / "part", resume=True)
    assert torch.equal(weights(whole), weights(again))
    losses = ([line["loss"] for line in metrics(tmp_path / name) if "loss" in line] for name in ("whole", "part"))
    assert next(losses) == next(losses)


@pytest.mark.parametrize(
    ("batch", "arguments", "seed", "message"),
    [
        (8, {}, 0, "was begun with batch_size=4, now 8: resume it with the same"),
        (4, {"n_tasks": 5}, 0, "n_tasks=None, now 5"),
        (4, {}, 1, "seed=0, now 1"),
    ],
    ids=str,
)
def test_a_run_is_not_resumed_on_other_episodes(tmp_path: Path, batch: int, arguments: dict, seed: int, message: str):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    with pytest.raises(ValueError, match=message):
        train(small_learner(), small_env(batch, **arguments), replace(QUICK, seed=seed), folder=tmp_path, resume=True)


def test_a_run_is_not_resumed_with_another_learner(tmp_path: Path):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    with pytest.raises(ValueError, match="learner's similarity_bias=8.0, now 3.0"):
        train(small_learner(similarity_bias=3.0), small_env(), QUICK, folder=tmp_path, resume=True)


def test_training_runs_share_no_streams_with_each_other_or_with_evaluation():
    streams = [set(stream_seeds(seed, 64)) for seed in range(20)]
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


def test_a_learner_that_forgets_its_arguments_is_told_before_training(tmp_path: Path):
    class Forgetful(Transformer):
        def __init__(self, secret: int = 3) -> None:
            super().__init__(32, 10, width=8, n_heads=1, input_rank=8)

    with pytest.raises(ValueError, match="does not keep its argument 'secret'"):
        train(Forgetful(), small_env(), QUICK, folder=tmp_path)


def test_kill_9_in_the_middle_loses_nothing(tmp_path: Path):
    """Real processes, killed at different moments, until the run is finished: bit-identical weights."""
    command = [str(Path(sys.executable).with_name("gpicl")), "train", "--preset", "tiny", "--env", "GPICL-Digits-v0"]
    command += ["--steps", "40", "--env-set", "length=20", "n_features=64", "--resume", "--out"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "whole")], check=True, env=environment, capture_output=True)
    kills = 0
    for wait in (10, 25):  # kill as soon as the metrics show that many steps
        process = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment, stdout=subprocess.DEVNULL)
        log = tmp_path / "killed" / "metrics.jsonl"
        while process.poll() is None and not (log.exists() and f'"step": {wait}' in log.read_text()):
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills > 0
    subprocess.run([*command, str(tmp_path / "killed")], check=True, env=environment, capture_output=True)
    whole, killed = (load_learner(tmp_path / name) for name in ("whole", "killed"))
    assert torch.equal(weights(whole), weights(killed))
    steps = [line["step"] for line in metrics(tmp_path / "killed") if "loss" in line]
    assert steps == list(range(1, 41))


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


def test_a_model_of_somebodys_own_trains():
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
        (lambda: small_learner(), lambda: small_env(n_features=16), "n_features=32, but the environment has 16"),
        (lambda: small_learner(), lambda: gymnasium.make_vec("CartPole-v1"), "needs a vector environment from"),
    ],
)
def test_what_cannot_be_trained_is_told_so(learner, env, message: str):
    with pytest.raises(ValueError, match=message):
        train(learner(), env(), QUICK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"steps": 0}, "steps=0"), ({"learning_rate": -1.0}, "learning_rate=-1.0"), ({"seed": -1}, "seed=-1")],
    ids=str,
)
def test_bad_settings_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**arguments)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_learners_that_run(name: str):
    preset = find_preset(name)
    learner = make_learner(preset.learner, **preset.arguments)
    episodes = TaskDistribution("Digits", length=5).sample(1)
    assert learner.predict(episodes.x, episodes.y).shape == (1, 5, 10)


def test_the_live_view_shows_the_rising_curve():
    curve = train(small_learner(), small_env(), QUICK).curve
    for terminal in (True, False):
        output = io.StringIO()
        with LiveReport("me", 12, Console(file=output, force_terminal=terminal, width=120)) as report:
            report(Progress(step=4, seconds=1.0, loss=2.0, curve=curve, evaluated=True))
        assert f"{100 * curve.scores[:, 0].mean():.0f} %" in output.getvalue()


@pytest.mark.gpu
def test_training_runs_on_a_gpu():
    learner = small_learner().to("cuda")
    assert train(learner, small_env(device="cuda"), TrainConfig(steps=3, evaluate_every=3)).step == 3


def test_accumulated_batches_train_as_one_large_batch():
    """Two batches of 4 are not the batch of 8 streams, but their mean gradient is that of all their episodes."""
    config = TrainConfig(steps=1, warmup_steps=0, evaluate_every=0, accumulate=2, clip_norm=1e9)
    accumulated, losses = small_learner(), []
    train(accumulated, small_env(), config, report=lambda p: losses.append((p.loss, p.gradient_norm)))
    env, whole = small_env().unwrapped, small_learner()
    env.reset(seed=stream_seeds(0, 4))
    both = [env.sample_episodes(i) for i in range(2)]
    x, y = torch.cat([episodes.x for episodes in both]), torch.cat([episodes.y for episodes in both])
    loss = torch.nn.functional.cross_entropy(whole.predict(x, y).flatten(0, 1), y.flatten())
    loss.backward()
    norm = torch.cat([p.grad.flatten() for p in whole.parameters() if p.grad is not None]).norm()
    assert losses == [(pytest.approx(loss.item(), abs=1e-6), pytest.approx(norm.item(), rel=1e-4))]


def test_schedules():
    def factors(schedule: str) -> list[float]:
        config = TrainConfig(steps=100, warmup_steps=10, schedule=schedule)
        return [config.factor(step, 0.0) for step in (0, 9, 50, 99)]

    assert factors("constant") == [0.1, 1.0, 1.0, 1.0]
    assert factors("linear") == pytest.approx([0.1, 0.91, 0.5, 0.01])
    assert factors("cosine") == pytest.approx([0.1, 0.98015, 0.5, 0.000247], abs=1e-5)


def test_training_stops_at_its_target(tmp_path: Path):
    config = replace(QUICK, target=0.01, steps=40)
    progress = train(small_learner(), small_env(), config, folder=tmp_path)
    assert progress.stopped == "target" and progress.step == 4
    assert latest_checkpoint(tmp_path).name == "step-00000004"


def test_an_interrupt_saves_and_stops_and_the_run_goes_on(tmp_path: Path):
    whole, part = small_learner(), small_learner()
    train(whole, small_env(), QUICK, folder=tmp_path / "whole")
    before = signal.getsignal(signal.SIGINT)

    def interrupt(progress: Progress) -> None:
        if progress.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    progress = train(part, small_env(), QUICK, folder=tmp_path / "part", report=interrupt)
    assert (progress.step, progress.stopped) == (7, "interrupted") and signal.getsignal(signal.SIGINT) is before
    assert latest_checkpoint(tmp_path / "part").name == "step-00000007"
    again = small_learner(seed=5)
    train(again, small_env(), QUICK, folder=tmp_path / "part", resume=True)
    assert torch.equal(weights(whole), weights(again))


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


def test_all_questions_and_tensorboard_are_in_the_folder(tmp_path: Path):
    config = replace(QUICK, evaluate_seen=True, evaluate_datasets=("Clusters",), tensorboard=True)
    progress = train(small_learner(), small_env(n_tasks=3), config, folder=tmp_path)
    assert (
        set(progress.curves) == {"unseen-task", "seen-task", "Clusters"}
        and progress.curves["unseen-task"] is progress.curve
    )
    (evaluation,) = [line for line in metrics(tmp_path) if line["step"] == 12 and "unseen-task_final" in line]
    assert {"seen-task_final", "Clusters_final", "Clusters_accuracy"} <= evaluation.keys()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    logged = [line["loss"] for line in metrics(tmp_path) if "loss" in line]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(logged)
    assert [event.step for event in events.Scalars("unseen-task_final")] == [4, 8, 12]


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
    assert progress.left_chance is not None and 5 < progress.left_chance < 120
    assert [line["left_chance"] for line in metrics(tmp_path) if "left_chance" in line] == [progress.left_chance]


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
    with pytest.raises(ValueError, match="Linear is no Learner: derive it from `Learner, nn.Module`, in that order"):
        train(torch.nn.Linear(2, 2), small_env(), TrainConfig(steps=1))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"learning_rate": "x"}, "learning_rate='x'"),
        ({"clip_norm": None}, "clip_norm=None"),
        ({"learning_rate": float("inf")}, "learning_rate=inf"),
        ({"betas": (0.9, 1.0)}, "betas="),
        ({"betas": 0.9}, "betas=0.9"),
        ({"eps": -1}, "eps=-1"),
    ],
    ids=str,
)
def test_settings_of_the_wrong_kind_are_refused(setting: dict, message: str):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**setting)


def test_a_checkpoint_is_not_taken_for_a_run_s_folder(tmp_path):
    config = TrainConfig(steps=2, evaluate_every=0, checkpoint_every=1)
    train(small_learner(), small_env(), config, folder=tmp_path / "run")
    checkpoint = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    before = sorted(path.name for path in checkpoint.iterdir())
    with pytest.raises(ValueError, match="is a checkpoint itself: give the folder of its run"):
        train(small_learner(), small_env(), config, folder=checkpoint, resume=True)
    assert sorted(path.name for path in checkpoint.iterdir()) == before
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file, and a run needs a folder"):
        train(small_learner(), small_env(), config, folder=tmp_path / "file")


def test_what_trains_a_run_may_change_and_what_it_trains_on_may_not(tmp_path):
    config = TrainConfig(steps=1, evaluate_every=0, accumulate=2)
    train(small_learner(), small_env(), config, folder=tmp_path)
    with pytest.raises(ValueError, match="was begun with accumulate=2, now 1"):
        train(small_learner(), small_env(), TrainConfig(steps=2, evaluate_every=0), folder=tmp_path, resume=True)
    broken = tmp_path / "metrics.jsonl"
    broken.write_text(broken.read_text() + "broken\n")
    with pytest.raises(ValueError, match="metrics.jsonl, line 2 is not a step's metrics"):
        train(small_learner(), small_env(), replace(config, steps=2), folder=tmp_path, resume=True)
