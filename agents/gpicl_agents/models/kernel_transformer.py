"""A Transformer with kernel ridge regression built in: strongest on few examples, and no longer a black box.

One-off tasks are Gaussian projections, whose distribution no rotation changes: all that an episode tells lies in the
labels and in the inner products of its inputs. H kernel heads read those, with learned widths γ, β and noise σ²,

    K_ij = exp(γ_h (cos(x_i, x_j) − 1) − β_h (log|x_i| − log|x_j|)²),

and each predictions position n with ridge regression on the examples before: L Lᵀ = K + σ²I, z = L⁻¹ V and
f_n = Σ_{i<n} L_ni z_i, with V the centred labels. Row n of a Cholesky factor depends on the rows before it only, so one
factor serves every position, causally (recursive least squares, as in the mesa-layer of von Oswald et al. 2023,
arXiv:2309.05858). The Transformer reads all predictions f_n and their standard deviations L_nn in its tokens, and
adds to the heads' mean prediction.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import normalize, pad

from gpicl_agents.models.base import SequenceState
from gpicl_agents.models.kv_cache import Rows
from gpicl_agents.models.transformer import Transformer
from gpicl_envs.errors import check_integer

SMALLEST_NOISE = 1e-3  # keeps the factorisation exact enough in float32 where inputs repeat


@dataclass
class RidgeMemory:
    """What the kernel heads remember of B episodes after n examples.

    Args:
        units: n rows (B, n, D), inputs of unit norm.
        log_norms: (B, n) logarithms of their norms.
        inverse: n rows (B, H, n, C) of L⁻¹, lower triangular, with room for C ≥ n columns.
        deviation: (B, H) L_nn of the last example.
        solved: (B, H, n−1, K) z of the examples whose labels are known.
        prediction: (B, H, K) f of the last example, until its label is shown.
    """

    units: Rows
    log_norms: torch.Tensor
    inverse: Rows
    deviation: torch.Tensor
    solved: torch.Tensor
    prediction: torch.Tensor


@dataclass
class KernelState(SequenceState):
    """The Transformer's state and that of the kernel heads."""

    ridge: RidgeMemory | None = None


class CausalRidge(nn.Module):
    """H kernel ridge regressions on the examples before, at every position.

    Args:
        n_heads: H.
        n_classes: K.
    """

    def __init__(self, n_heads: int, n_classes: int) -> None:
        super().__init__()
        self.n_heads, self.n_classes = n_heads, n_classes
        self.log_gamma = nn.Parameter(torch.linspace(-0.7, 1.8, n_heads))
        self.log_beta = nn.Parameter(torch.linspace(0.7, -1.6, n_heads))
        self.log_noise = nn.Parameter(torch.linspace(-3.0, -1.2, n_heads))

    def forward(self, x: torch.Tensor, feedback: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N, D), (B, N, K) feedback before each → predictions (B, N, H, K), standard deviations (B, N, H)."""
        with torch.autocast(x.device.type, enabled=False):
            units, log_norms = _polar(x.to(self.log_noise.dtype))
            cosines = torch.bmm(units, units.mT)
            eye = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
            cosines = cosines.masked_fill(eye, 1.0)  # an input of zeros has no direction, but k(x, x) is 1
            kernel = self._kernel(cosines, log_norms, log_norms)
            factor = torch.linalg.cholesky(kernel + torch.diag_embed(self._noise.expand(-1, x.shape[1])))
            values = pad(feedback[:, 1:].to(units) - 1 / self.n_classes, (0, 0, 0, 1))[:, None]
            values = values.expand(-1, self.n_heads, -1, -1)
            predictions = factor.tril(-1) @ torch.linalg.solve_triangular(factor, values, upper=False)
        return predictions.transpose(1, 2), factor.diagonal(dim1=2, dim2=3).mT

    def start(self, batch_size: int, n_features: int) -> RidgeMemory:
        """Nothing seen yet."""
        none = self.log_noise.new_zeros
        return RidgeMemory(
            units=Rows(none(batch_size, 0, n_features)),
            log_norms=none(batch_size, 0),
            inverse=Rows(none(batch_size, self.n_heads, 0, 16)),
            deviation=none(batch_size, self.n_heads),
            solved=none(batch_size, self.n_heads, 0, self.n_classes),
            prediction=none(batch_size, self.n_heads, self.n_classes),
        )

    def step(
        self, memory: RidgeMemory, x: torch.Tensor, feedback: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, RidgeMemory]:
        """(B, D), (B, K) → predictions (B, H, K), standard deviations (B, H): one more row of L⁻¹, in O(n²)."""
        units, log_norms = _polar(x[:, None].to(self.log_noise.dtype))
        n, solved = len(memory.units), memory.solved
        if n:
            residual = feedback[:, None].to(units) - 1 / self.n_classes - memory.prediction
            solved = torch.cat([solved, (residual / memory.deviation[..., None])[:, :, None]], 2)
        kernel = self._kernel(torch.bmm(units, memory.units.tensor.mT), log_norms, memory.log_norms)
        inverse = memory.inverse.tensor[..., :n]
        row = kernel @ inverse.mT  # of L
        deviation = (1 + self._noise[:, 0] - row.square().sum((2, 3))).sqrt()
        scale = 1 / deviation[..., None, None]
        after = RidgeMemory(
            units=memory.units.append(units),
            log_norms=torch.cat([memory.log_norms, log_norms], 1),
            inverse=_one_row_more(memory.inverse, torch.cat([-scale * (row @ inverse), scale], 3)),
            deviation=deviation,
            solved=solved,
            prediction=(row @ solved)[:, :, 0],
        )
        return after.prediction, deviation, after

    def state_size(self, n_examples: int, n_features: int) -> int:
        """Inputs and their norms, the triangle of L⁻¹, the solution and the last answer."""
        triangle = self.n_heads * n_examples * (n_examples + 1) // 2
        return n_examples * (n_features + 1) + triangle + self.n_heads * n_examples * self.n_classes

    @property
    def _noise(self) -> torch.Tensor:
        return self.log_noise.exp()[:, None] + SMALLEST_NOISE

    def _kernel(self, cosines: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """(B, T, S) cosines, (B, T) and (B, S) log norms → (B, H, T, S)."""
        gamma, beta = self.log_gamma.exp()[:, None, None], self.log_beta.exp()[:, None, None]
        apart = (rows[:, :, None] - columns[:, None]).square()
        return (gamma * (cosines[:, None] - 1) - beta * apart[:, None]).exp()


class KernelTransformer(Transformer):
    """The Transformer with similarity bias, reading and correcting the predictions of H kernel ridge regressions.

    Args:
        n_features: D.
        n_classes: K.
        width: size of a token.
        n_layers: number of blocks.
        n_heads: attention heads a block.
        mlp_width: hidden size of the MLP of a block; 4 · width by default.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_projections: V, projections through which `eval()` mode predicts.
        similarity_bias: initial β of the attention's similarity bias; 0 for none.
        kernel_heads: H.
        seed: seed of the initial weights.
    """

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        width: int = 128,
        n_layers: int = 2,
        n_heads: int = 4,
        mlp_width: int | None = 256,
        input_rank: int | None = None,
        n_projections: int = 1,
        similarity_bias: float = 10.0,
        kernel_heads: int = 8,
        seed: int = 0,
    ) -> None:
        self.kernel_heads = check_integer("kernel_heads", kernel_heads, 1)
        super().__init__(
            n_features,
            n_classes,
            width=width,
            n_layers=n_layers,
            n_heads=n_heads,
            mlp_width=mlp_width,
            input_rank=input_rank,
            n_projections=n_projections,
            similarity_bias=similarity_bias,
            seed=seed,
        )

    def build_memory(self) -> None:
        """Blocks as the Transformer has, and kernel heads; 5 times their mean is the first guess at the logits."""
        super().build_memory()
        self.ridge = CausalRidge(self.kernel_heads, self.n_classes)
        self.embed_ridge = nn.Linear(self.kernel_heads * (self.n_classes + 1), self.width)
        self.direct = nn.Parameter(torch.full((self.kernel_heads,), 5.0 / self.kernel_heads))

    @property
    def name(self) -> str:
        """`transformer+kernel`: it tells that kernel ridge regression is built in."""
        return "transformer+kernel"

    def forward(self, x: torch.Tensor, feedback: torch.Tensor, hint: torch.Tensor | None = None) -> torch.Tensor:
        """(B, N, D), (B, N, K) → (B, N, K)."""
        predictions, deviations = self.ridge(x, feedback)
        logits = super().forward(x, feedback, self._token_part(predictions, deviations))
        return logits + torch.einsum("bnhk,h->bnk", predictions, self.direct)

    def start(self, batch_size: int) -> KernelState:
        """Nothing seen yet."""
        state = super().start(batch_size)
        return KernelState(**vars(state), ridge=self.ridge.start(batch_size, self.n_features))

    def forward_step(
        self, state: SequenceState, x: torch.Tensor, feedback: torch.Tensor, hint: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, KernelState]:
        """(B, D), (B, K) → (B, K), and the next state."""
        assert isinstance(state, KernelState) and state.ridge is not None and hint is None
        predictions, deviations, ridge = self.ridge.step(state.ridge, x, feedback)
        logits, after = super().forward_step(state, x, feedback, self._token_part(predictions, deviations)[:, None])
        return logits + torch.einsum("bhk,h->bk", predictions, self.direct), KernelState(**vars(after), ridge=ridge)

    def state_size(self, n_examples: int) -> int:
        """As the Transformer, and the kernel heads' memory."""
        return super().state_size(n_examples) + self.ridge.state_size(n_examples, self.n_features)

    def _token_part(self, predictions: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
        """(…, H, K), (…, H) → (…, width)."""
        return self.embed_ridge(torch.cat([predictions, deviations[..., None]], -1).flatten(-2))


def _polar(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, N, D) → directions, and logarithms of the norms (B, N)."""
    return normalize(x, dim=2), (x.norm(dim=2) + 1e-6).log()


def _one_row_more(triangle: Rows, row: torch.Tensor) -> Rows:
    """(B, H, n, C) of which n columns are used, (B, H, 1, n + 1) → n + 1 rows, of 2C columns where C do not suffice."""
    columns = triangle.tensor.shape[3]
    if columns < row.shape[3]:
        triangle, columns = Rows(pad(triangle.tensor, (0, columns))), 2 * columns
    return triangle.append(pad(row, (0, columns - row.shape[3])))
