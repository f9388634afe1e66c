"""The Transformer of GPICL (Kirsch et al. 2022, arXiv:2212.04458), as in the paper and in forms that learn in seconds.

To the tokens of `sequence.py` it adds learned positions to `"paper"`, and a third form: `"query"`, two tokens per
example, E_p x_{n−1} + E_y y_{n−1}, remembered, and E_x x_n, which reads those.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import normalize, pad, relu, scaled_dot_product_attention

from gpicl_agents.models.base import TOKENS, SequenceAgent
from gpicl_agents.models.kv_cache import Rows
from gpicl_envs.errors import check_integer, check_number

KeysAndValues = tuple[Rows, Rows]


@dataclass
class AttentionMemory:
    """What the Transformer remembers of n examples.

    Args:
        cache: for each layer, keys and values: n rows (B·V, H, n, width/H).
        units: n rows (B, n, D), the centred unit inputs; none without the similarity bias.
        n: examples seen.
    """

    cache: list[KeysAndValues]
    units: Rows
    n: int = 0


class Transformer(SequenceAgent):
    """Causal Transformer over the examples of an episode; its memory is what attention reads, keys and values.

    Attention normalises queries and keys; the read-out starts at zero.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"`, `"paper"` or `"query"` (see the module).
        width: size of a token.
        n_layers: number of blocks.
        n_heads: H, attention heads a block; it must divide the width.
        mlp_width: hidden size of the MLP of a block; 4 · width by default.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_projections: V, projections through which `eval()` mode predicts.
        similarity_bias: if not 0, β_h cos(x_n, x_{i−1}) is added to the attention logits of head h, with β learned
            from this value on. That is a built-in nearest-neighbour rule and no longer a black box, so the learner
            reports under another name. Needs `tokens="paired"`.
        window: tokens that attention reads, its own included; all by default. It bounds the state and leaves the
            parameters as they are. Not with `tokens="query"` or the similarity bias.
        max_length: longest episode, for the learned positions of `tokens="paper"` only.
        seed: seed of the initial weights.
    """

    token_forms: tuple[str, ...] = (*TOKENS, "query")

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
        input_rank: int | None = None,
        n_projections: int = 1,
        similarity_bias: float = 0.0,
        window: int | None = None,
        max_length: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__(
            n_features,
            n_classes,
            tokens=tokens,
            width=width,
            input_rank=input_rank,
            n_projections=n_projections,
            seed=seed,
        )
        self.n_layers = check_integer("n_layers", n_layers, 1)
        self.n_heads = check_integer("n_heads", n_heads, 1)
        self.mlp_width = check_integer("mlp_width", 4 * width if mlp_width is None else mlp_width, 1)
        self.similarity_bias = check_number("similarity_bias", similarity_bias, 0)
        self.window = None if window is None else check_integer("window", window, 2)
        self.max_length = check_integer("max_length", max_length, 1)
        if width % n_heads:
            raise ValueError(f"width={width} cannot be split over n_heads={n_heads}: give a multiple of it.")
        if similarity_bias and tokens != "paired":
            raise ValueError(f"similarity_bias needs tokens='paired', given tokens={tokens!r}.")
        if window is not None and (similarity_bias or tokens == "query"):
            raise ValueError(f"window={window} has no use with tokens='query' or a similarity_bias: leave one out.")
        self._make()

    def build_memory(self) -> None:
        """Blocks of attention and MLP."""
        if self.tokens == "paper":
            self.positions = nn.Parameter(0.02 * torch.randn(self.max_length, self.width))
        self.blocks = nn.ModuleList(
            Block(self.width, self.n_heads, self.mlp_width, self.n_layers, self.similarity_bias)
            for _ in range(self.n_layers)
        )

    @property
    def name(self) -> str:
        """`transformer`, with what departs from the black box or from the default tokens."""
        name = "transformer" if self.tokens == "paired" else f"transformer-{self.tokens}"
        name += "" if self.window is None else f"-window-{self.window}"
        return f"{name}+similarity" if self.similarity_bias else name

    def embed(self, h: torch.Tensor, previous: torch.Tensor, feedback: torch.Tensor, n: int) -> torch.Tensor:
        """As any sequence model, with positions for `"paper"`; for `"query"` T remembered tokens, then T queries."""
        if self.tokens == "query":
            return torch.cat([self.embed_before(previous, feedback, n), self.embed_input(h)], 1)
        tokens = super().embed(h, previous, feedback, n)
        if self.tokens != "paper":
            return tokens
        end = n + h.shape[1]
        if end > self.max_length:
            raise ValueError(
                f"tokens='paper' has learned positions for max_length={self.max_length} examples, given {end}: make "
                "the learner with a larger max_length, or use tokens='paired'."
            )
        return tokens + self.positions[n:end]

    def remember(self, tokens: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        """Attention over all positions at once."""
        n = units.shape[1]
        mask = _query_mask(n, tokens.device) if self.tokens == "query" else None
        if self.window is not None:
            mask = torch.ones(n, n, dtype=torch.bool, device=tokens.device).tril().triu(1 - self.window)
        similarity = None
        if self.similarity_bias:  # cos(x_n, x_{i−1}) for token i, which carries example i − 1
            similarity = self._in_views(pad(torch.bmm(units, units.mT)[:, :, :-1], (1, 0)))
            mask = torch.ones(n, n, dtype=torch.bool, device=tokens.device).tril()
        for block in self.blocks:
            tokens = block(tokens, mask=mask, similarity=similarity)
        return tokens[:, -n:]

    def start_memory(self, rows: int) -> AttentionMemory:
        """Nothing to attend to."""
        none = self.read_out.weight.new_zeros
        cache_shape = rows, self.n_heads, 0, self.width // self.n_heads
        units = Rows(none(rows // self._views, 0, self.n_features))
        return AttentionMemory([(Rows(none(cache_shape)), Rows(none(cache_shape))) for _ in self.blocks], units)

    def remember_step(
        self, memory: AttentionMemory, token: torch.Tensor, unit: torch.Tensor
    ) -> tuple[torch.Tensor, AttentionMemory]:
        """Attention to the cached keys and values of the examples before."""
        n, units = memory.n, memory.units
        mask = similarity = None
        if self.tokens == "query":  # the remembered token does not read the query
            mask = torch.ones(2, n + 2, dtype=torch.bool, device=token.device)
            mask[0, -1] = False
        if self.similarity_bias:
            similarity = self._in_views(pad(torch.bmm(unit, units.tensor.mT), (1, 0)))
            units = units.append(unit)
        cache = []
        for block, cached in zip(self.blocks, memory.cache, strict=True):
            assert isinstance(block, Block)
            token, keys, values = block.step(token, cached, mask=mask, similarity=similarity)
            cache.append((self._kept(keys, n + 1), self._kept(values, n + 1)))
        return token[:, -1:], AttentionMemory(cache, units, n + 1)

    def _kept(self, rows: Rows, n: int) -> Rows:
        """Of the rows after n examples, those that a later token may read."""
        return rows.first(n) if self.window is None else rows.last(self.window - 1)

    def memory_size(self, n_examples: int) -> int:
        """Keys and values: 2 · layers · tokens · width."""
        read = n_examples if self.window is None else min(n_examples, self.window - 1)
        return 2 * self.n_layers * read * self.width

    def state_size(self, n_examples: int) -> int:
        """As any sequence model, and the inputs that the similarity bias compares."""
        return super().state_size(n_examples) + (n_examples * self.n_features if self.similarity_bias else 0)


def _query_mask(n: int, device: torch.device) -> torch.Tensor:
    """(2N, 2N) what is read: remembered tokens read those up to their own; query n reads the same, and itself."""
    itself = torch.eye(n, dtype=torch.bool, device=device)
    causal, none = torch.ones_like(itself).tril(), torch.zeros_like(itself)
    return torch.cat([torch.cat([causal, none], 1), torch.cat([causal, itself], 1)], 0)


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
        self, tokens: torch.Tensor, *, mask: torch.Tensor | None = None, similarity: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Tokens (B, T, width) → the same.

        Args:
            tokens: (B, T, width).
            mask: (T, T) which tokens are read; causal by default.
            similarity: (B, T, T) scaled by β and added to them.
        """
        q, k, v = self._queries_keys_values(tokens)
        bias = self._bias(mask, similarity)
        return self._after(tokens, scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=bias is None))

    def step(
        self,
        tokens: torch.Tensor,
        cached: KeysAndValues,
        *,
        mask: torch.Tensor | None = None,
        similarity: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, Rows, Rows]:
        """T new tokens (B, T, width) that read the S − T before → the same, and all keys and values.

        Args:
            tokens: (B, T, width).
            cached: keys and values (B, H, S − T, width/H).
            mask: (T, S) which tokens are read; all by default.
            similarity: (B, T, S) scaled by β and added to them.
        """
        q, k, v = self._queries_keys_values(tokens)
        keys, values = cached[0].append(k), cached[1].append(v)
        bias = self._bias(mask, similarity)
        read = scaled_dot_product_attention(q, keys.tensor, values.tensor, attn_mask=bias)
        return self._after(tokens, read), keys, values

    def _queries_keys_values(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, T, width) → three of (B, H, T, width/H), queries and keys normalised."""
        b, t, width = tokens.shape
        q, k, v = (
            self.queries_keys_values(self.norm_attention(tokens)).view(b, t, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        )
        q = normalize(q, dim=-1) * self.log_scale.exp()
        return q, normalize(k, dim=-1) * math.sqrt(width // self.n_heads), v

    def _bias(self, mask: torch.Tensor | None, similarity: torch.Tensor | None) -> torch.Tensor | None:
        if similarity is None:
            return mask
        bias = self.beta * similarity[:, None]
        return bias if mask is None else bias.masked_fill(~mask, -torch.inf)

    def _after(self, tokens: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        """What follows attention: its output (B, H, T, width/H) joins the tokens, then the MLP."""
        tokens = tokens + self.attention_out(read.transpose(1, 2).flatten(2))
        hidden = relu(self.mlp_in(self.norm_mlp(tokens)))  # on a CPU a quarter of the time of GELU
        return tokens + self.mlp_out(hidden)
