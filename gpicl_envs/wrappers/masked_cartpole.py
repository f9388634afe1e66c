"""`MaskedCartPole`: gymnasium's fast vector of CartPoles, with resets of some of them."""

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from gpicl_envs.envs.reset_arguments import parse_reset_mask


class MaskedCartPole(VectorWrapper):  # generic only since gymnasium 1.4
    """Let gymnasium's `CartPoleVectorEnv` reset the environments of a mask alone, as other vector environments do.

    Without it, `reset(options={"reset_mask": mask})` begins all 256 episodes anew. `VectorTrials` puts it around a bare
    `CartPoleVectorEnv` by itself; where there are wrappers in between, it belongs beneath them.

    Args:
        env: what `gymnasium.make_vec("CartPole-v1", num_envs=256, vectorization_mode="vector_entry_point")` returns.

    Raises:
        TypeError: it is another environment.

    Example:
        >>> import gymnasium, numpy as np
        >>> env = gymnasium.make_vec("CartPole-v1", num_envs=3, vectorization_mode="vector_entry_point")
        >>> env = MaskedCartPole(env)
        >>> before, _ = env.reset(seed=0)
        >>> after, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
        >>> (before == after).all(axis=1)
        array([ True, False,  True])
    """

    env: CartPoleVectorEnv

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        if not isinstance(env, CartPoleVectorEnv):
            raise TypeError(f"MaskedCartPole is for gymnasium's CartPoleVectorEnv itself, given {env}.")
        super().__init__(env)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin new episodes, in the masked environments alone if there is a mask; they share one random stream."""
        mask = parse_reset_mask(options, self.num_envs)
        if mask.all():
            others = {name: value for name, value in (options or {}).items() if name != "reset_mask"}
            return self.env.reset(seed=seed, options=others)  # type: ignore[arg-type]
        if seed is not None:
            raise ValueError(
                f"reset(seed={seed}) with a reset_mask is not possible: all rows of CartPoleVectorEnv share one random "
                "stream. Seed all of them, or use gymnasium's SyncVectorEnv."
            )
        env: Any = self.env
        env.state[:, mask] = env.np_random.uniform(env.low, env.high, (4, int(mask.sum())))
        env.steps[mask], env.prev_done[mask] = 0, False
        return env.state.T.astype(np.float32), {}
