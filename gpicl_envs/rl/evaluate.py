"""`evaluate_players`: players on the same in-context RL problems → their return curves."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK, find_protocol
from gpicl_envs.evaluation.return_curve import ReturnCurve
from gpicl_envs.evaluation.schema import MOST_INTEGER
from gpicl_envs.rl.players.base import KnowingPlayer, Player
from gpicl_envs.rl.problems import ProblemDistribution, Tensors
from gpicl_envs.rl.vector_env import ProblemVectorEnv

REPEATED = 8  # first steps that are played twice, to see whether a player repeats itself


class PlayerCheckError(AssertionError):
    """A player broke the rules of `Player`; the message names it and says how."""


class _Played(NamedTuple):
    """(E, n) actions and rewards of n steps, and the seconds that the player took."""

    actions: torch.Tensor
    rewards: torch.Tensor
    seconds: float


@torch.no_grad()
def evaluate_players(
    players: Sequence[Player],
    made: ProblemDistribution,
    *,
    problems: int = 1000,
    seed: int = 0,
    protocol: str | None = None,
) -> list[ReturnCurve]:
    """Return the return curve of each player on the same problems, with the same hidden tasks and noise.

    The problems are number 0 … E − 1 of the stream `seed`: those that a single environment shows after
    `reset(seed=seed)`, one after the other. All are played at once, in a `ProblemVectorEnv`. Each player draws from a
    generator of its own, seeded by `seed`, so its result does not depend on the other players.

    Args:
        players: algorithms, meta-trained agents, and players that know the problems (`KnowingPlayer`).
        made: where the problems come from.
        problems: E.
        seed: of the problems and the players. For the protocol `"seen-task"`, take another seed than training did.
        protocol: `"seen-task"` or `"unseen-task"`; by default unseen for one-off tasks of the test split, as
            `made.unseen()` has them, seen for all others.

    Raises:
        TypeError: an argument is not a player, or not a distribution of problems.
        ValueError: a player is made for other problems, or an argument is out of range.
        PlayerCheckError: a player's actions are not (E,) integers of the action space, or it changed the observation,
            or it does not act the same again with the same generator.
    """
    check_integer("problems", problems, 1)
    check_integer("seed", seed, 0, MOST_INTEGER - 1)
    if not isinstance(made, ProblemDistribution):
        raise TypeError(f"made={made!r} is not a distribution of in-context RL problems: give Bandit(split='test').")
    if protocol is not None:
        check_choice("protocol", protocol, (SEEN_TASK, UNSEEN_TASK))
    protocol = find_protocol(protocol, made)
    for player in players:
        if not isinstance(player, Player):
            raise TypeError(f"{player!r} is not a Player: derive its class from gpicl_envs.Player.")
        player.check_can_play(made)
    venv = ProblemVectorEnv(problems, made.name, autoreset_mode="Disabled", device=made.device, **made.arguments)
    return [_curve(player, _checked_play(player, venv, seed), venv, protocol, seed) for player in players]


def _checked_play(player: Player, venv: ProblemVectorEnv, seed: int) -> _Played:
    """Play all problems, after the first steps have been played once to see whether the player repeats them."""
    before = _play(player, venv, seed, min(REPEATED, venv.length)).actions
    played = _play(player, venv, seed, venv.length)
    differs = (before != played.actions[:, : before.shape[1]]).any(0)
    if differs.any():
        raise PlayerCheckError(
            f"{player.name} acts differently at step {int(differs.int().argmax())} when it plays the same problems "
            "again: draw all random numbers from the generator that start() gets, and keep what is learned in the "
            "state alone."
        )
    return played


def _play(player: Player, venv: ProblemVectorEnv, seed: int, steps: int) -> _Played:
    """Play the first steps of all problems."""
    made, size = venv.distribution, venv.num_envs
    observation = venv.begin(made.sample(size, seed))
    generator = torch.Generator(made.device).manual_seed(seed)
    begin = time.perf_counter()
    if isinstance(player, KnowingPlayer):  # it gets the problems in memory of its own, and cannot change them
        state = player.start_knowing(made, made.sample(size, seed), generator)
    else:
        state = player.start(made, size, generator)
    seconds = time.perf_counter() - begin
    actions, rewards = [], []
    for n in range(steps):
        shown = {name: value.clone() for name, value in observation.items()}
        begin = time.perf_counter()
        chosen = player.act(state, shown)
        seconds += time.perf_counter() - begin
        action, state = _checked_answer(player, chosen, shown, observation, n)
        try:
            observation, reward, *_ = venv.step(action)
        except ValueError as error:
            raise PlayerCheckError(f"{player.name}.act(state, observation) at step {n}: {error}") from None
        actions.append(action.clone())
        rewards.append(reward)
    return _Played(torch.stack(actions, 1), torch.stack(rewards, 1), seconds)


def _checked_answer(
    player: Player, chosen: Any, shown: Tensors, observation: Tensors, n: int
) -> tuple[torch.Tensor, Any]:
    """The action and the next state, if they are that and the observation is unchanged."""
    where = f"{player.name}.act(state, observation) at step {n}"
    if not isinstance(chosen, tuple) or len(chosen) != 2 or not isinstance(chosen[0], torch.Tensor):
        raise PlayerCheckError(f"{where} returned {type(chosen).__name__}: return (actions, state), actions a tensor.")
    for name, value in observation.items():
        if name not in shown or not torch.equal(value, shown[name]):
            raise PlayerCheckError(f"{where} changed observation[{name!r}] in place: work on a copy.")
    return chosen


def _curve(player: Player, played: _Played, venv: ProblemVectorEnv, protocol: str, seed: int) -> ReturnCurve:
    made = venv.distribution
    return ReturnCurve(
        player=player.name,
        n_parameters=player.n_parameters,
        knows_the_problem=isinstance(player, KnowingPlayer),
        rewards=played.rewards.cpu().numpy(),
        best=made.best_return(venv.problems).cpu().numpy().astype(np.float64),
        episode_length=made.episode_length,
        binary=made.binary_rewards,
        task_id=venv.problems.ids.cpu().numpy(),
        env_id=made.env_id,
        made=made.arguments,
        protocol=protocol,
        seed=seed,
        wall_seconds=played.seconds,
        device=str(made.device),
    )
