"""The Transformer of GPICL (Kirsch et al. 2022), and the token and input forms that make learning emerge in seconds.

Token n of an episode stands where y_n is predicted. With E_x, E_p and E_y the embeddings of inputs and labels:

| tokens | what token n is | in-context learning needs |
|---|---|---|
| `"paired"` | E_x x_n + E_p x_{n−1} + E_y y_{n−1} | one attention layer: example and label are one token |
| `"paper"` | E_x x_n + E_y y_{n−1} + position n | two composed layers, hence a long loss plateau |
| `"query"` | two: E_p x_{n−1} + E_y y_{n−1}, remembered, and E_x x_n, which reads those | one layer, twice the tokens |

A narrow random projection of the input to p features is what removes the plateau, and it costs accuracy: similarities
seen through p of D directions are noisy. But tasks are Gaussian projections, whose distribution no rotation changes, so
what was learned through one orthonormal p × D projection holds for every other. Hence *views*: train through one, and
predict with the mean of the predictions through V mutually orthogonal ones.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import linear, normalize, one_hot, pad, relu, scaled_dot_product_attention

from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.learner import Learner

TOKENS = ("paired", "paper", "query")

KeysAndValues = tuple[torch.Tensor, torch.Tensor]


@dataclass
class TransformerState:
    """What the Transformer remembers of B episodes after n examples.

    Args:
        total: (B, D) sum of the inputs.
        previous: (B·V, 1, p) the last projected input, in each view.
        units: (B, n, D) centred unit inputs, kept for the similarity bias only.
        cache: for each layer, keys and values (B·V, H, n, width/H).
        n: examples seen.
    """

    total: torch.Tensor
    previous: torch.Tensor
    units: torch.Tensor
    cache: list[KeysAndValues] = field(default_factory=list)
    n: int = 0


class Transformer(Learner, nn.Module):
    """Causal Transformer over the examples of an episode.

    Inputs are centred by a causal running mean, scaled to unit norm, and pass a frozen random orthogonal projection
    to p features that x_n and x_{n−1} share. Attention normalises queries and keys; the read-out starts at zero.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"`, `"paper"` or `"query"` (see the module).
        width: size of a token.
        n_layers: number of blocks.
        n_heads: H, attention heads a block; it must divide the width.
        mlp_width: hidden size of the MLP of a block; 4 · width by default.
        input_rank: p, features after the shared projection; 0 leaves it out (E_x acts on all D features).
        n_views: V, projections to p features through which `eval()` mode predicts, with V·p ≤ D; training uses one.
        similarity_bias: if not 0, β_h cos(x_n, x_{i−1}) is added to the attention logits of head h, with β learned
            from this value on. That is a built-in nearest-neighbour rule and no longer a black box, so the learner
            reports under another name. Needs `tokens="paired"`.
        max_length: longest episode, for the learned positions of `tokens="paper"` only.
        seed: seed of the initial weights.
    """

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        tokens: str = "paired",
        width: int = 256,
        n_layers: int = 1,
        n_heads: int = 4,
        mlp_width: int | None = None,
        input_rank: int = 64,
        n_views: int = 1,
        similarity_bias: float = 0.0,
        max_length: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__(n_features, n_classes)
        self.tokens = check_choice("tokens", tokens, TOKENS)
        self.width = check_integer("width", width, 1)
        self.n_layers = check_integer("n_layers", n_layers, 1)
        self.n_heads = check_integer("n_heads", n_heads, 1)
        self.mlp_width = check_integer("mlp_width", mlp_width or 4 * width, 1)
        self.input_rank = check_integer("input_rank", input_rank, 0, n_features)
        most_views = n_features // input_rank if self.input_rank else 1
        self.n_views = check_integer(
            "n_views", n_views, 1, most_views, "n_features // input_rank, or 1 without a projection"
        )
        self.similarity_bias = float(similarity_bias)
        self.max_length = check_integer("max_length", max_length, 1)
        self.seed = check_integer("seed", seed, 0)
        if width % n_heads:
            raise ValueError(f"width={width} cannot be split over n_heads={n_heads}: give a multiple of it.")
        if similarity_bias and tokens != "paired":
            raise ValueError(f"similarity_bias needs tokens='paired', given tokens={tokens!r}.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build()

    def _build(self) -> None:
        rank = self.input_rank or self.n_features
        if self.input_rank:
            self.shared = nn.Linear(self.n_features, self.n_views * rank, bias=False)  # view by view
            nn.init.orthogonal_(self.shared.weight)
            self.shared.weight.requires_grad_(False)
        self.embed_input = nn.Linear(rank, self.width, bias=False)
        self.embed_label = nn.Linear(self.n_classes, self.width, bias=False)
        nn.init.normal_(self.embed_input.weight, std=rank**-0.5)
        nn.init.normal_(self.embed_label.weight, std=1.0)
        if self.tokens == "paper":
            self.positions = nn.Parameter(0.02 * torch.randn(self.max_length, self.width))
        else:
            self.embed_previous = nn.Linear(rank, self.width, bias=False)
            nn.init.normal_(self.embed_previous.weight, std=rank**-0.5)
            self.first = nn.Parameter(torch.randn(self.width))  # stands for the example before the first
        self.blocks = nn.ModuleList(
            Block(self.width, self.n_heads, self.mlp_width, self.n_layers, self.similarity_bias)
            for _ in range(self.n_layers)
        )
        self.norm = nn.LayerNorm(self.width)
        self.read_out = nn.Linear(self.width, self.n_classes)
        nn.init.zeros_(self.read_out.weight)
        nn.init.zeros_(self.read_out.bias)

    @property
    def name(self) -> str:
        """`transformer`, with what departs from the black box or from the default tokens."""
        name = "transformer" if self.tokens == "paired" else f"transformer-{self.tokens}"
        return f"{name}+similarity" if self.similarity_bias else name

    # -- All positions at once ----------------------------------------------------------------------------------------

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        n = x.shape[1]
        self._check_length(n)
        count = torch.arange(2, n + 2, device=x.device)[:, None]
        units = normalize(x - x.cumsum(1) / count, dim=2)
        h = self._project(units)
        labels = self._in_views(pad(one_hot(y, self.n_classes).to(x.dtype)[:, :-1], (0, 0, 1, 0)))
        previous = None if self.tokens == "paper" else pad(h[:, :-1], (0, 0, 1, 0))
        remembered, query = self._tokens(h, previous, labels, 0)
        if query is None:
            tokens, mask = remembered, None
        else:
            tokens, mask = torch.cat([remembered, query], 1), _query_mask(n, x.device)
        similarity = None
        if self.similarity_bias:  # cos(x_n, x_{i−1}) for token i, which carries example i − 1
            similarity = self._in_views(pad(torch.bmm(units, units.mT)[:, :, :-1], (1, 0)))
            mask = torch.full((n, n), -torch.inf, device=x.device).triu(1)
        for block in self.blocks:
            tokens, _ = block(tokens, mask=mask, similarity=similarity)
        return self._read(tokens[:, -n:])

    # -- One position at a time ---------------------------------------------------------------------------------------

    def start(self, batch_size: int) -> TransformerState:
        """Nothing seen yet."""
        rank, like = self.input_rank or self.n_features, self.read_out.weight
        rows = batch_size * self._views
        cache_shape = rows, self.n_heads, 0, self.width // self.n_heads
        return TransformerState(
            total=like.new_zeros(batch_size, self.n_features),
            previous=like.new_zeros(rows, 1, rank),
            units=like.new_zeros(batch_size, 0, self.n_features),
            cache=[(like.new_zeros(cache_shape), like.new_zeros(cache_shape)) for _ in self.blocks],
        )

    def step(
        self, state: TransformerState, x: torch.Tensor, y_previous: torch.Tensor
    ) -> tuple[torch.Tensor, TransformerState]:
        """(B, D), (B, K) → (B, K), reading the cached keys and values of the examples before."""
        n = state.n
        self._check_length(n + 1)
        total = state.total + x
        unit = normalize(x - total / (n + 2), dim=1)[:, None]
        h = self._project(unit)
        previous = None if self.tokens == "paper" else state.previous
        remembered, query = self._tokens(h, previous, self._in_views(y_previous[:, None].to(x.dtype)), n)
        mask = similarity = None
        tokens = remembered
        if query is not None:
            tokens = torch.cat([remembered, query], 1)
            mask = torch.zeros(2, n + 2, device=x.device)
            mask[0, -1] = -torch.inf
        units = state.units
        if self.similarity_bias:
            similarity = self._in_views(pad(torch.bmm(unit, units.mT), (1, 0)))
            units = torch.cat([units, unit], 1)
        cache = []
        for block, cached in zip(self.blocks, state.cache, strict=True):
            tokens, (keys, values) = block(tokens, mask=mask, similarity=similarity, cached=cached)
            cache.append((keys[:, :, : n + 1], values[:, :, : n + 1]))
        return self._read(tokens[:, -1:])[:, 0], TransformerState(total, h, units, cache, n + 1)

    def state_size(self, n_examples: int) -> int:
        """Keys, values (2 · layers · tokens · width) and last input of each view; the sum; what the bias compares."""
        compared = n_examples * self.n_features if self.similarity_bias else 0
        last = 0 if self.tokens == "paper" else self.input_rank or self.n_features
        return self._views * (2 * self.n_layers * n_examples * self.width + last) + self.n_features + compared

    # -- Shared by both -----------------------------------------------------------------------------------------------

    @property
    def _views(self) -> int:
        return 1 if self.training else self.n_views

    def _in_views(self, values: torch.Tensor) -> torch.Tensor:
        """(B, …) → (B·V, …), the same in each view."""
        return values.repeat_interleave(self._views, dim=0) if self._views > 1 else values

    def _project(self, units: torch.Tensor) -> torch.Tensor:
        """(B, N, D) unit inputs → (B·V, N, p) of norm √p."""
        b, n, _ = units.shape
        if self.input_rank:
            weight = self.shared.weight[: self._views * self.input_rank]
            units = linear(units, weight).view(b, n, self._views, self.input_rank).transpose(1, 2).flatten(0, 1)
        return normalize(units, dim=2) * math.sqrt(units.shape[2])

    def _tokens(
        self, h: torch.Tensor, previous: torch.Tensor | None, labels: torch.Tensor, n: int
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Tokens n, n+1, … from inputs (B, T, p), previous inputs (B, T, p) and labels (B, T, K).

        Returns:
            The tokens that later ones can read (B, T, width), and those that only ask, where the two differ.
        """
        now, told = self.embed_input(h), self.embed_label(labels)
        if previous is None:
            return now + told + self.positions[n : n + h.shape[1]], None
        told = told + self.embed_previous(previous)
        if n == 0:
            told = told + pad(self.first[None, None], (0, 0, 0, h.shape[1] - 1))
        return (told, now) if self.tokens == "query" else (now + told, None)

    def _read(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B·V, T, width) → (B, T, K): the log of the mean probability over the views."""
        logits = self.read_out(self.norm(tokens))
        if self._views == 1:
            return logits
        return logits.log_softmax(2).unflatten(0, (-1, self._views)).logsumexp(1) - math.log(self._views)

    def _check_length(self, n: int) -> None:
        if self.tokens == "paper" and n > self.max_length:
            raise ValueError(
                f"tokens='paper' has learned positions for max_length={self.max_length} examples, given {n}: make the "
                "learner with a larger max_length, or use tokens='paired'."
            )


def _query_mask(n: int, device: torch.device) -> torch.Tensor:
    """(2N, 2N): remembered tokens read those up to their own; query n reads the same, and itself."""
    future = torch.full((n, n), -torch.inf, device=device)
    causal = future.triu(1)
    itself = future.masked_fill(torch.eye(n, device=device).bool(), 0.0)
    return torch.cat([torch.cat([causal, future], 1), torch.cat([causal, itself], 1)], 0)


class Block(nn.Module):
    """Pre-norm attention and MLP, with normalised queries and keys (Henry et al. 2020) and an optional additive bias.

    Args:
        width: size of a token.
        n_heads: H.
        mlp_width: hidden size of the MLP.
        n_layers: number of blocks, which scales the initial residual branches.
        similarity_bias: initial β of the last head (the first has 0.3 of it); 0 for none.
    """

    def __init__(self, width: int, n_heads: int, mlp_width: int, n_layers: int, similarity_bias: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_in, self.mlp_out = nn.Linear(width, mlp_width), nn.Linear(mlp_width, width)
        nn.init.normal_(self.attention_out.weight, std=0.5 / math.sqrt(width * n_layers))
        nn.init.normal_(self.mlp_out.weight, std=0.5 / math.sqrt(mlp_width * n_layers))
        self.log_scale = nn.Parameter(torch.full((n_heads, 1, 1), 0.5 * math.log(width // n_heads)))
        if similarity_bias:
            self.beta = nn.Parameter(similarity_bias * torch.linspace(0.3, 1.0, n_heads)[:, None, None])

    def forward(
        self,
        tokens: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        similarity: torch.Tensor | None = None,
        cached: KeysAndValues | None = None,
    ) -> tuple[torch.Tensor, KeysAndValues]:
        """Tokens (B, T, width) → the same, and the keys and values (B, H, S, width/H) of cached and new tokens.

        Args:
            tokens: (B, T, width).
            mask: (T, S) added to the attention logits; causal by default.
            similarity: (B, T, S) scaled by β and added to them.
            cached: keys and values of the S − T tokens before.
        """
        b, t, width = tokens.shape
        q, k, v = (
            self.queries_keys_values(self.norm_attention(tokens)).view(b, t, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        )
        q = normalize(q, dim=-1) * self.log_scale.exp()
        k = normalize(k, dim=-1) * math.sqrt(width // self.n_heads)
        if cached is not None:
            k, v = torch.cat([cached[0], k], 2), torch.cat([cached[1], v], 2)
        bias = mask
        if similarity is not None:
            bias = self.beta * similarity[:, None]
            bias = bias if mask is None else bias + mask
        causal = bias is None and cached is None
        read = scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
        tokens = tokens + self.attention_out(read.transpose(1, 2).reshape(b, t, width))
        hidden = relu(self.mlp_in(self.norm_mlp(tokens)))  # on a CPU a quarter of the time of GELU
        return tokens + self.mlp_out(hidden), (k, v)
