"""How fast in-context RL problems step in batches, beside the same problems one by one in gymnasium's SyncVectorEnv.

One run measures everything on one thread, random actions drawn beforehand, ends of problems included, each figure the
median of several repeats, and writes results/rl_stepping.json. With xenoverse installed, its bare `anymdp-v0` is set
against our tabular MDPs, with as many states and actions.

    python benchmarks/rl_stepping.py [--num-envs 256] [--repeats 5] [--note "machine shared with other work"]
"""

import argparse
import statistics
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

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers import RandomProjection, Trials, VectorRandomProjection, VectorTrials
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


def cartpoles(num_envs: int) -> VectorTrials:
    """A batch of them, without a loop."""
    inner = gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")
    return VectorTrials(inner, EPISODES)


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
        "CartPole trials": (cartpoles, in_sync(cartpole)),
        "CartPole trials, projected": (
            lambda num_envs: VectorRandomProjection(cartpoles(num_envs), N_FEATURES),
            in_sync(lambda: RandomProjection(cartpole(), N_FEATURES)),
        ),
    }
    for env_id, spec in sorted(gymnasium.registry.items()):
        if "gpicl_envs.rl" in str(spec.vector_entry_point):
            found[env_id] = own(env_id), in_sync(partial(gymnasium.make, env_id, disable_env_checker=True))
    if find_spec("xenoverse") is not None and MDP in gymnasium.registry:
        found[f"{MDP} against anymdp-v0"] = own(MDP), in_sync(anymdp)
    return found


def own(env_id: str) -> Maker:
    """Return what makes the vector environment of one of our ids."""
    return lambda num_envs: gymnasium.make_vec(env_id, num_envs=num_envs)


def steps_per_second(env: VectorEnv[Any, Any, Any], seconds: float, repeats: int) -> float:
    """Median steps/s of all environments together, after one repeat to warm up."""
    env.action_space.seed(0)
    actions = [np.asarray(env.action_space.sample()) for _ in range(16)]
    env.reset(seed=0)
    rates = []
    for _ in range(repeats + 1):
        begun, steps = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            for action in actions:
                env.step(action)
            steps += len(actions) * env.num_envs
        rates.append(steps / (time.perf_counter() - begun))
    return statistics.median(rates[1:])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--note", help="what the numbers depend on, kept beside them")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name, makers in pairs().items():
        envs = [make(given.num_envs) for make in makers]
        batched, single = (steps_per_second(env, given.seconds, given.repeats) for env in envs)
        rows[name] = {"batched": batched, "one_by_one": single, "ratio": batched / single}
        print(
            f"  {name:<36} {batched:>12,.0f} steps/s   one by one {single:>9,.0f}   {batched / single:6.1f}×",
            flush=True,
        )
        for env in envs:
            env.close()
    result = {"note": given.note, "num_envs": given.num_envs, "repeats": given.repeats, "steps_per_second": rows}
    write_result(Path(__file__), result)


if __name__ == "__main__":
    main()
