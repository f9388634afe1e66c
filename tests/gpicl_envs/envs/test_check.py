"""`check_vector_env` must find every planted fault, and pass the environments that keep the conventions."""

import doctest
from typing import Any

import gymnasium
import pytest
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorWrapper
from slow_stage import in_turn
from small_tasks import make, make_vec

import gpicl_envs
from gpicl_envs.envs.check_returns import VectorEnvCheckError
from gpicl_envs.registration import environments
from gpicl_envs.wrappers.vector import FlattenObservation, PreviousActionAndReward, TorchToNumpy

MODES = [mode.value for mode in AutoresetMode]


class Faulty(VectorWrapper):
    """Changes what a vector environment returns."""

    def __init__(self, env) -> None:
        super().__init__(env)
        self.resets = 0

    def reset(self, **arguments) -> Any:
        observation, info = self.env.reset(**arguments)
        self.resets += 1
        return self.shown(observation, None, info)[0], info

    def step(self, actions) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(actions)
        observation, reward = self.shown(observation, reward, info)
        return observation, reward, terminated, truncated, info

    def shown(self, observation, reward, info) -> Any:
        return observation, reward


class RewardsAsAColumn(Faulty):
    def shown(self, observation, reward, info):
        return observation, None if reward is None else reward[:, None]


class RewardsAsIntegers(Faulty):
    def shown(self, observation, reward, info):
        return observation, None if reward is None else reward.long()


class RewardsInNumpy(Faulty):
    def shown(self, observation, reward, info):
        return observation, None if reward is None else reward.numpy()


class ObservesInDouble(Faulty):
    def shown(self, observation, reward, info):
        return observation | {"x": observation["x"].double()}, reward


class ObservesOutsideTheSpace(Faulty):
    def shown(self, observation, reward, info):
        return observation | {"y": observation["y"] + 2}, reward


class ForgetsAKey(Faulty):
    def shown(self, observation, reward, info):
        return {"x": observation["x"]}, reward


class ForgetsAMask(Faulty):
    def shown(self, observation, reward, info):
        del info["_task_id"]
        return observation, reward


class MasksAsIntegers(Faulty):
    def shown(self, observation, reward, info):
        info["_task_id"] = info["_task_id"].long()
        return observation, reward


class ReusesItsMemory(Faulty):
    def shown(self, observation, reward, info):
        if not hasattr(self, "memory"):
            self.memory = torch.zeros_like(observation["x"])
        return observation | {"x": self.memory.copy_(observation["x"])}, reward


class ShowsInfosOfOtherRows(Faulty):
    def shown(self, observation, reward, info):
        if "label" in info:
            info["label"] = info["label"].roll(1)
        return observation, reward


class SwapsRewards(Faulty):
    def shown(self, observation, reward, info):
        return observation, None if reward is None else reward.roll(1)


class EndsAsIntegers(Faulty):
    def step(self, actions):
        observation, reward, terminated, truncated, info = self.env.step(actions)
        return observation, reward, terminated.long(), truncated, info


class ReturnsFourValues(Faulty):
    def step(self, actions):
        observation, reward, terminated, _, info = self.env.step(actions)
        return observation, reward, terminated, info


class DoesNotBatchItsSpace(Faulty):
    def __init__(self, env):
        super().__init__(env)
        self.observation_space = env.single_observation_space


class HasNoAutoresetMode(Faulty):
    def __init__(self, env):
        super().__init__(env)
        self.metadata = {}


class SeedsEveryRowTheSame(Faulty):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else [seed] * self.num_envs, options=options)


class IgnoresItsSeed(Faulty):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else seed + self.resets, options=options)


class ForgetsTheFinalObservation(Faulty):
    def shown(self, observation, reward, info):
        if "final_obs" in info:
            del info["final_obs"], info["_final_obs"]
        return observation, reward


class PutsTheNextObservationInFinalObs(Faulty):
    def shown(self, observation, reward, info):
        if "final_obs" in info:
            info["final_obs"] = observation
        return observation, reward


class ShowsTheFinalObservationForTheNext(Faulty):
    def shown(self, observation, reward, info):
        return info.get("final_obs", observation), reward


class RewardsTheStepThatResets(Faulty):
    def shown(self, observation, reward, info):
        return observation, None if reward is None else reward + 1


class IgnoresTheResetMask(Faulty):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)


class ResetsWithoutAMaskOfItsInfo(Faulty):
    def shown(self, observation, reward, info):
        info["_task_id"] = torch.ones(self.num_envs, dtype=torch.bool)
        return observation, reward


class NeverEnds(Faulty):
    def step(self, actions):
        if self.resets % 5 == 0:
            self.env.reset()
        self.resets += 1
        observation, reward, terminated, truncated, info = self.env.step(actions)
        return observation, reward, terminated & False, truncated, {}


FAULTS = [  # the fault, the autoreset mode that it is planted in, the message
    (RewardsAsAColumn, "SameStep", r"step 1: reward has shape \(3, 1\), expected \(B,\) = \(3,\)"),
    (RewardsAsIntegers, "SameStep", "step 1: reward has dtype torch.int64, expected floating-point"),
    (RewardsInNumpy, "SameStep", r"step 1: reward is of numpy on cpu, but observation\['x'\] of torch on cpu"),
    (ObservesInDouble, "SameStep", r"reset\(seed=0\): observation\['x'\] has dtype float64, its space float32"),
    (ObservesOutsideTheSpace, "SameStep", r"reset\(seed=0\): observation\['y'\] lies outside its space Box\(0.0, 1.0"),
    (ForgetsAKey, "SameStep", r"observation has \['x'\], its space \['x', 'y'\]"),
    (ForgetsAMask, "SameStep", "info has 'task_id', but not the mask '_task_id'"),
    (MasksAsIntegers, "SameStep", r"info\['_task_id'\] has dtype int64, shape \(3,\), expected bool"),
    (ReusesItsMemory, "SameStep", r"step 1 overwrote the observation\['x'\] that reset\(seed=0\) had returned"),
    (ShowsInfosOfOtherRows, "SameStep", r"Row 0 of step 1: info\['label'\] is not what the single environment"),
    (SwapsRewards, "SameStep", "row . of reward is not what the single environment of that seed shows"),
    (EndsAsIntegers, "SameStep", "terminated has dtype torch.int64, expected booleans"),
    (ReturnsFourValues, "SameStep", r"step 1 returned 4 values, not the tuple \(observation, reward, "),
    (DoesNotBatchItsSpace, "SameStep", "observation_space is .*, expected batch_space of 3"),
    (HasNoAutoresetMode, "SameStep", r"metadata\['autoreset_mode'\] is None: set gymnasium.vector.AutoresetMode"),
    (SeedsEveryRowTheSame, "SameStep", r"row 1 of observation\['x'\] is not what .* \(row i: seed 0 \+ i\)"),
    (IgnoresItsSeed, "SameStep", r"reset\(seed=0\): row 0 of .* differs when reset with the same seed"),
    (
        ForgetsTheFinalObservation,
        "SameStep",
        r"step 6: episodes ended in \[0, 1, 2\], but info has 'final_obs' of \[\]",
    ),
    (PutsTheNextObservationInFinalObs, "SameStep", r"Row 0 of step 6: info\['final_obs'\].* is not what the single"),
    (ShowsTheFinalObservationForTheNext, "SameStep", r"step 6: row 0 of observation\['x'\] is not what the single"),
    (RewardsTheStepThatResets, "NextStep", r"step 7 only resets environments \[0, 1, 2\] .* reward is \[1. 1. 1.\]"),
    (IgnoresTheResetMask, "Disabled", r"reset\(options=.*\[True, False, False\].*changed the observation\['x'\]"),
    (ResetsWithoutAMaskOfItsInfo, "Disabled", r"info\['_task_id'\] is \[True, True, True\], beyond the mask"),
    (NeverEnds, "SameStep", "No episode ended in 40 steps, so autoreset was not seen"),
]


@pytest.mark.parametrize(("fault", "mode", "message"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
def test_a_fault_is_found_and_named(fault: type[Faulty], mode: str, message: str):
    with pytest.raises(VectorEnvCheckError, match=message):
        gpicl_envs.check_vector_env(fault(make_vec(autoreset_mode=mode)), make, steps=40)


def test_a_wrapper_without_a_fault_passes():
    gpicl_envs.check_vector_env(Faulty(make_vec()), make)


# -- What keeps the conventions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("env_id", "mode"), in_turn(environments(), MODES))
def test_every_id_passes(env_id: str, mode: str):
    gpicl_envs.check_vector_env(make_vec(env_id, autoreset_mode=mode), lambda: make(env_id))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("arguments", [{"action": "logits"}, {"feedback": "reward"}, {"n_tasks": 4}], ids=str)
def test_variants_pass(mode: str, arguments: dict):
    gpicl_envs.check_vector_env(make_vec(autoreset_mode=mode, **arguments), lambda: make(**arguments), seed=3)


@pytest.mark.parametrize("mode", MODES)
def test_our_wrappers_pass(mode: str):
    env = make_vec(autoreset_mode=mode)
    gpicl_envs.check_vector_env(TorchToNumpy(env), make)
    gpicl_envs.check_vector_env(FlattenObservation(env), lambda: gymnasium.wrappers.FlattenObservation(make()))
    wrapped = lambda: gpicl_envs.wrappers.PreviousActionAndReward(make())  # noqa: E731
    gpicl_envs.check_vector_env(PreviousActionAndReward(env), wrapped)


def cartpole() -> gymnasium.Env:
    return gymnasium.make("CartPole-v1")


def test_gymnasiums_cartpole_passes_but_its_rows_have_no_seeds():
    gpicl_envs.check_vector_env(CartPoleVectorEnv(3))
    with pytest.raises(VectorEnvCheckError, match="row 0 of observation is not what the single environment"):
        gpicl_envs.check_vector_env(CartPoleVectorEnv(3), cartpole)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_gymnasiums_sync_vector_env_passes_but_not_without_copies(mode: AutoresetMode):
    gpicl_envs.check_vector_env(SyncVectorEnv([cartpole] * 3, autoreset_mode=mode), cartpole)
    shared = SyncVectorEnv([cartpole] * 3, autoreset_mode=mode, copy=False)
    with pytest.raises(VectorEnvCheckError, match=r"overwrote the observation that reset\(seed=0\) had returned"):
        gpicl_envs.check_vector_env(shared, cartpole)


def test_spaces_of_other_kinds_pass():
    """Discrete observations with infos of arrays, and tuples."""
    for env_id in ("Taxi-v4", "Blackjack-v1"):
        single = lambda env_id=env_id: gymnasium.make(env_id)  # noqa: E731
        gpicl_envs.check_vector_env(SyncVectorEnv([single] * 2, autoreset_mode=AutoresetMode.SAME_STEP), single)


def test_another_single_environment_is_told_by_its_space():
    with pytest.raises(VectorEnvCheckError, match="single_observation_space is .* that of the single environment"):
        gpicl_envs.check_vector_env(make_vec(), cartpole)


def test_what_is_no_vector_environment_is_told_so():
    with pytest.raises(VectorEnvCheckError, match="is not a gymnasium.vector.VectorEnv: derive it"):
        gpicl_envs.check_vector_env(make())
    with pytest.raises(ValueError, match="steps=0 is not allowed"):
        gpicl_envs.check_vector_env(make_vec(), steps=0)
    assert issubclass(VectorEnvCheckError, AssertionError)


def test_the_example_runs():
    from gpicl_envs.envs import check

    found = doctest.testmod(check)
    assert found.attempted > 0 and found.failed == 0
