"""How fast in-context RL problems step in batches, beside the same problems one by one in gymnasium's SyncVectorEnv.

One run measures everything on one thread, random actions drawn beforehand, ends of problems included, each figure the
median of several repeats, and writes results/rl_stepping.json. With xenoverse installed, its bare `anymdp-v0` is set
against our tabular MDPs, with as many states and actions, in batches of several sizes. Its task is drawn beforehand,
while ours draw a new one in each problem.

Seconds are those of the processor that the program itself used, so that other work on the machine counts less.

    python benchmarks/rl_stepping.py [--num-envs 256] [--anymdp-num-envs 256 1024 4096] [--repeats 5] [--note TEXT]
"""

import argparse
import time
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.rl.wrapped_problems import WrappedProblems
from gpicl_envs.wrappers import RandomProjection, Trials
from machine import write_result

EPISODES, N_FEATURES = 10, 16
STATES, ACTIONS = 10, 5
MDP = "GPICL-TabularMDP-v0"
Maker = Callable[[int], VectorEnv[Any, Any, Any]]


def in_sync(make: Callable[[], gymnasium.Env[Any, Any]]) -> Maker:
    """Return what makes B single environments in gymnasium's SyncVectorEnv."""
    return lambda num_envs: SyncVectorEnv([make] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


def cartpole() -> Trials:
    """One problem of CartPole."""
    return Trials(gymnasium.make("CartPole-v1", disable_env_checker=True), EPISODES)


def anymdp() -> gymnasium.Env[Any, Any]:
    """One environment of xenoverse."""
    import xenoverse.anymdp  # noqa: F401  registers the id

    env: Any = gymnasium.make("anymdp-v0")
    env.unwrapped.set_task(anymdp_task())
    return env


@cache
def anymdp_task() -> dict[str, Any]:
    """Its task, drawn once."""
    from xenoverse.anymdp import AnyMDPTaskSampler

    return AnyMDPTaskSampler(STATES, ACTIONS, seed=0)


def pairs() -> dict[str, tuple[Maker, Maker]]:
    """What is compared: the batched form and the single one in SyncVectorEnv, by name."""
    found: dict[str, tuple[Maker, Maker]] = {
        "CartPole trials": (WrappedProblems("CartPole-v1", EPISODES).make, in_sync(cartpole)),
        "CartPole trials, projected": (
            WrappedProblems("CartPole-v1", EPISODES, project=N_FEATURES).make,
            in_sync(lambda: RandomProjection(cartpole(), N_FEATURES)),
        ),
    }
    for env_id, spec in sorted(gymnasium.registry.items()):
        if "gpicl_envs.rl" in str(spec.vector_entry_point):
            found[env_id] = own(env_id), in_sync(partial(gymnasium.make, env_id, disable_env_checker=True))
    return found


def own(env_id: str) -> Maker:
    """Return what makes the vector environment of one of our ids."""
    return lambda num_envs: gymnasium.make_vec(env_id, num_envs=num_envs)


def prepared(env: VectorEnv[Any, Any, Any]) -> list[NDArray[Any]]:
    """Reset the environment, and return random actions of 16 steps."""
    env.action_space.seed(0)
    env.reset(seed=0)
    return [np.asarray(env.action_space.sample()) for _ in range(16)]


def steps_per_second(env: VectorEnv[Any, Any, Any], actions: list[NDArray[Any]], seconds: float) -> float:
    """Steps/s of all environments together."""
    begun, steps = time.process_time(), 0
    while time.process_time() - begun < seconds:
        for action in actions:
            env.step(action)
        steps += len(actions) * env.num_envs
    return steps / (time.process_time() - begun)


def alone(env_id: str, seconds: float) -> float:
    """Steps/s of a single environment of `gymnasium.make`, with its resets."""
    env = gymnasium.make(env_id)
    env.action_space.seed(0)
    env.reset(seed=0)
    actions = [env.action_space.sample() for _ in range(16)]
    begun, steps = time.process_time(), 0
    while time.process_time() - begun < seconds:
        for action in actions:
            if env.step(action)[2]:
                env.reset()
        steps += len(actions)
    return steps / (time.process_time() - begun)


def compare(name: str, makers: tuple[Maker, Maker], num_envs: int, seconds: float, repeats: int) -> dict[str, Any]:
    """Measure the batched form and the single one in SyncVectorEnv by turns, after a first repeat; print both."""
    envs = [make(num_envs) for make in makers]
    played = [(env, prepared(env)) for env in envs]
    rates = np.array([[steps_per_second(*one, seconds) for one in played] for _ in range(repeats + 1)])[1:]
    for env in envs:
        env.close()
    batched, single = np.median(rates, 0).tolist()
    ratio = float(np.median(rates[:, 0] / rates[:, 1]))
    print(
        f"  {name:<28} {num_envs:>5} {batched:>12,.0f} steps/s   one by one {single:>9,.0f}   {ratio:6.1f}×", flush=True
    )
    return {"batched": batched, "one_by_one": single, "ratio": ratio}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--anymdp-num-envs", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--seconds", type=float, default=2.0, help="of one repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--note", help="what the numbers depend on, kept beside them")
    given = parser.parse_args()
    torch.set_num_threads(1)
    how = given.seconds, given.repeats
    result = {"note": given.note, "num_envs": given.num_envs, "repeats": given.repeats, "seconds_are_of": "processor"}
    result["steps_per_second"] = {name: compare(name, both, given.num_envs, *how) for name, both in pairs().items()}
    own_ids = [name for name in result["steps_per_second"] if name in gymnasium.registry]
    result["alone"] = {
        name: float(np.median([alone(name, given.seconds) for _ in range(given.repeats)])) for name in own_ids
    }
    if find_spec("xenoverse") is not None and MDP in gymnasium.registry:
        both = own(MDP), in_sync(anymdp)
        result["against_anymdp"] = {n: compare("MDPs, anymdp-v0", both, n, *how) for n in given.anymdp_num_envs}
        begun = time.process_time()
        anymdp_task.__wrapped__()
        result["seconds_to_draw_an_anymdp_task"] = time.process_time() - begun
    write_result(Path(__file__), result)


if __name__ == "__main__":
    main()
