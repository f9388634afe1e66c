"""Processes forked after torch has computed with several threads: there, without care, everything waits for ever."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import multiprocessing, sys
import gymnasium, torch
import gpicl_envs

torch.set_num_threads(4)
fork = multiprocessing.get_context("fork")


def make():
    return gymnasium.make("GPICL-MNIST-v0", n_tasks=4)


def sampled(seed):
    return gpicl_envs.TaskDistribution("MNIST", n_tasks=4).sample(64, seed=seed).x[0, 0, :5].tolist()


def in_async_vector_env():
    env = gymnasium.make_vec("GPICL-MNIST-v0", 2, "async", vector_kwargs={"context": "fork"}, n_tasks=4)
    shown = env.reset(seed=0)[0]["x"][0, :5].tolist()
    env.step(env.action_space.sample())
    env.close()
    return shown


def in_sb3_subproc_vec_env():
    from stable_baselines3.common.vec_env import SubprocVecEnv

    env = SubprocVecEnv([make] * 2, start_method="fork")
    env.seed(0)
    shown = env.reset()["x"][0, :5].tolist()
    env.close()
    return shown


def in_a_pool():
    with fork.Pool(2) as pool:
        return pool.map(sampled, [0, 1])[0]


def more_threads():
    torch.set_num_threads(2)
    return torch.get_num_threads()


def threads_in_a_pool():
    with fork.Pool(1) as pool:
        return [pool.apply(torch.get_num_threads), pool.apply(more_threads)]


if __name__ == "__main__":
    matrix = torch.randn(600, 600)
    (matrix @ matrix).exp().sum()
    torch.randn(4_000_000).exp().sort()
    print(globals()[sys.argv[1]]() == eval(sys.argv[2]) and torch.get_num_threads() == 4)
"""


def run(tmp_path: Path, client: str, expected: str) -> str:
    """Run the script in a process group of its own, which ends after a minute whatever waits in it."""
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, str(tmp_path / "script.py"), client, expected]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    try:
        return process.communicate(timeout=60)[0].strip()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "waited for ever"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("in_async_vector_env", "make().reset(seed=0)[0]['x'][:5].tolist()"),
        pytest.param("in_sb3_subproc_vec_env", "make().reset(seed=0)[0]['x'][:5].tolist()", marks=pytest.mark.slow),
        ("in_a_pool", "sampled(0)"),
        pytest.param("threads_in_a_pool", "[1, 2]", marks=pytest.mark.slow),  # what is set there counts
    ],
)
def test_forked_processes_compute_the_same_numbers(client: str, expected: str, tmp_path: Path):
    if "sb3" in client:
        pytest.importorskip("stable_baselines3", reason="needs gpicl-envs[rl]")
    assert run(tmp_path, client, expected) == "True"


def test_without_torch_nothing_happens():
    code = "import os, sys, gpicl_envs\npid = os.fork()\nif pid == 0: os._exit('torch' in sys.modules)\n"
    code += "assert os.waitpid(pid, 0)[1] == 0"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
