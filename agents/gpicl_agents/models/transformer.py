"""The Transformer of GPICL (Kirsch et al. 2022, arXiv:2212.04458), as in the paper and in forms that learn in seconds.

To the tokens of `base.py` it adds learned positions for `"paper"`, and a third form, `"query"`, with two tokens per
example: E_p x_{n−1} + E_y y_{n−1}, which stays in the cache, and E_x x_n, which reads the cache.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.functional import normalize, pad, relu, scaled_dot_product_attention

from gpicl_agents.models.base import TOKENS
from gpicl_agents.models.kv_cache import Rows
from gpicl_agents.models.layers import BlockAgent, init_residual, join_heads, split_heads
from gpicl_agents.models.sequence_state import Count, SequenceState
from gpicl_agents.models.state import map_state
from gpicl_envs.errors import check_integer, check_number
from gpicl_envs.learners.base import encoded

KeysAndValues = tuple[Rows, Rows]


@dataclass
class AttentionMemory:
    """What attention reads after n examples.

    Args:
        cache: keys and values of each layer, n rows (B·P, H, n, width/H) each; None at the start.
        directions: n rows (B, n, D), the centred inputs at unit norm; none without the similarity bias.
    """

    cache: list[KeysAndValues | None]
    directions: Rows


class Transformer(BlockAgent):
    """Causal Transformer over the examples of an episode; its memory is a cache of keys and values.

    Attention normalises queries and keys; the read-out starts at zero.

    Args:
        tokens: `"paired"`, `"paper"` or `"query"` (see the module).
        similarity_bias: if not 0, β_h cos(x_n, x_{i−1}) is added to the attention logits of head h, with β learned
            from this initial value. This builds in a nearest-neighbour rule: the model is no longer a black box, and
            has another name in reports. Needs `tokens="paired"`.
        window: tokens that attention reads, its own included; all by default. It bounds the state and leaves the
            parameters unchanged. Not with `tokens="query"` or the similarity bias.
        max_length: longest episode, for the learned positions of `tokens="paper"` only.
    """

    token_forms: ClassVar[tuple[str, ...]] = (*TOKENS, "query")

    width: int = 256
    n_heads: int = 4
    similarity_bias: float = 0.0
    window: int | None = None
    max_length: int = 100

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        self.similarity_bias = check_number("similarity_bias", self.similarity_bias, 0)
        self.window = None if self.window is None else check_integer("window", self.window, 2)
        self.max_length = check_integer("max_length", self.max_length, 1)
        if self.similarity_bias and self.tokens != "paired":
            raise ValueError(f"similarity_bias needs tokens='paired', given tokens={self.tokens!r}.")
        if self.window is not None and (self.similarity_bias or self.tokens == "query"):
            raise ValueError(
                f"window={self.window} cannot be combined with tokens='query' or a similarity_bias: leave one out."
            )

    def build_layers(self) -> None:
        """Make the blocks, and positions for `"paper"`."""
        if self.tokens == "paper":
            self.positions = nn.Parameter(0.02 * torch.randn(self.max_length, self.width))
        self.blocks = nn.ModuleList(AttentionBlock(self) for _ in range(self.n_layers))

    @property
    def name(self) -> str:
        """`transformer`, with what departs from the black box or from the default tokens."""
        name = "transformer" if self.tokens == "paired" else f"transformer-{self.tokens}"
        name += "" if self.window is None else f"-window-{self.window}"
        return f"{name}+similarity" if self.similarity_bias else name

    def embed(self, h: torch.Tensor, previous: torch.Tensor, feedback: torch.Tensor, n: Count) -> torch.Tensor:
        """As in every sequence model, with positions for `"paper"`; for `"query"` T cached tokens, then T queries."""
        if self.tokens == "query":
            return torch.cat([self.embed_previous_example(previous, feedback, n), self.embed_input(h)], 1)
        tokens = super().embed(h, previous, feedback, n)
        if self.tokens != "paper":
            return tokens
        end = n + h.shape[1]
        if not isinstance(end, torch.Tensor) and end > self.max_length:
            raise ValueError(
                f"tokens='paper' has learned positions for max_length={self.max_length} examples, given {end}: make "
                "the learner with a larger max_length, or use tokens='paired'."
            )
        return tokens + self.positions[n + torch.arange(h.shape[1], device=h.device)]

    def start_memory(self, batch: int) -> AttentionMemory:
        """Return an empty cache."""
        directions = self.read_out.weight.new_zeros(batch // self._active_projections, 0, self.n_features)
        return AttentionMemory([None] * self.n_layers, Rows(directions))

    def run(
        self, tokens: torch.Tensor, memory: AttentionMemory, directions: torch.Tensor
    ) -> tuple[torch.Tensor, AttentionMemory]:
        """Run the blocks on the next tokens, which attend to themselves and to those in the cache."""
        t, known = directions.shape[1], memory.directions
        similarity = None
        if self.similarity_bias:  # cos(x_n, x_{i−1}) for token i, which holds example i − 1
            known = known.append(directions)
            similarity = self._for_each_projection(pad(torch.bmm(directions, known.tensor.mT)[:, :, :-1], (1, 0)))
        cached_rows = 0 if memory.cache[0] is None else memory.cache[0][0].tensor.shape[2]
        mask = self._mask(t, cached_rows, tokens.device)
        cache: list[KeysAndValues | None] = []
        for block, cached in zip(self.blocks, memory.cache, strict=True):
            tokens, (keys, values) = block(tokens, cached, mask=mask, similarity=similarity)
            cache.append((self._kept(keys, t), self._kept(values, t)))
        return tokens[:, -t:], AttentionMemory(cache, known)

    def predict_queries(self, x: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N), (B, Q, D) → (B, Q, K): the examples are read once, and each query reads the cache."""
        if not x.shape[1]:  # there is no cache to be read
            return super().predict_queries(x, y, queries)
        labels = encoded(y, self.n_classes).to(x.dtype) / self.value_scale
        return self.forward_queries(x, pad(labels, (0, 0, 1, 0)), queries) * self.value_scale

    @torch.no_grad()
    def attention(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return what each head reads while the model predicts B episodes, as `predict` does.

        Entry [b, l, h, t, s] is the weight with which token t reads token s, in head h of layer l: a row sums to 1, and
        is 0 at later tokens, and at those outside a window. `gpicl_agents.inspection` says what is read. No gradients.

        Args:
            x: (B, N, D) inputs.
            y: (B, N) labels or values.

        Returns:
            (B, layers, H, T, T), of T = N tokens (see `models/base.py` for what each holds); of T = 2N with
            `tokens="query"`, first those that hold examples, then the queries. The mean over a projection ensemble.
        """
        calls: list[list[torch.Tensor]] = [[] for _ in self.blocks]  # one of each block, or one a step
        hooks = [
            block.register_forward_pre_hook(
                lambda block, args, kwargs, found=found: found.append(block.weights(*args, **kwargs)), with_kwargs=True
            )
            for block, found in zip(self.blocks, calls, strict=True)
        ]
        try:
            self.predict(x, y)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack([_square(found) for found in calls], 1).unflatten(0, (len(x), -1)).mean(1)

    def forward_queries(self, x: torch.Tensor, feedback: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(B, N, D), feedback (B, N + 1, K) up to that of the last example, (B, Q, D) → (B, Q, K)."""
        state = self.advance(self.start(x.shape[0]), x, feedback[:, :-1])[1]
        return self._advance_queries(state, feedback[:, -1], queries)

    def _advance_queries(
        self,
        state: SequenceState,
        feedback: torch.Tensor,
        queries: torch.Tensor,
        extra_embedding: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The state after N examples of B episodes, (B, K), (B, Q, D), (B, Q, width) → (B, Q, K)."""
        (b, count), each = queries.shape[:2], queries.flatten(0, 1)[:, None]
        extra = None if extra_embedding is None else extra_embedding.flatten(0, 1)[:, None]
        repeated = feedback.repeat_interleave(count, 0)[:, None]
        logits, _ = self.advance(branched(state, b, count), each, repeated, extra)
        return logits.view(b, count, -1)

    def _mask(self, t: int, cached: int, device: torch.device) -> torch.Tensor | None:
        """(T, S) which of the cached tokens and themselves the next T tokens read; None for all up to their own."""
        if self.tokens == "query":  # (2T, S): T tokens to be cached, which read no query, and T queries
            itself = torch.eye(t, dtype=torch.bool, device=device)
            causal, none = torch.ones_like(itself).tril(), torch.zeros_like(itself)
            mask = torch.cat([torch.cat([causal, none], 1), torch.cat([causal, itself], 1)], 0)
            return pad(mask, (cached, 0), value=True)
        if t == 1 or not (cached or self.window or self.similarity_bias):
            return None
        mask = torch.ones(t, cached + t, dtype=torch.bool, device=device).tril(cached)
        return mask if self.window is None else mask.triu(cached + 1 - self.window)

    def _kept(self, rows: Rows, t: int) -> Rows:
        """Of the rows after T more examples, those that a later token may read: the last T of queries are not."""
        if self.tokens == "query":
            return rows.first(len(rows) - t)
        return rows if self.window is None else rows.last(self.window - 1)

    def memory_size(self, n_examples: int) -> int:
        """Keys and values: 2 · layers · tokens · width."""
        read = n_examples if self.window is None else min(n_examples, self.window - 1)
        return 2 * self.n_layers * read * self.width

    def state_size(self, n_examples: int) -> int:
        """As in every sequence model, and the inputs that the similarity bias compares."""
        return super().state_size(n_examples) + (n_examples * self.n_features if self.similarity_bias else 0)


def _square(calls: list[torch.Tensor]) -> torch.Tensor:
    """Weights (B, H, t, s) of successive tokens, read from the last s up to their own → (B, H, T, T)."""
    end, total, rows = 0, sum(weights.shape[2] for weights in calls), []
    for weights in calls:
        end += weights.shape[2]
        rows.append(pad(weights, (end - weights.shape[3], total - end)))
    return torch.cat(rows, 2)


def branched(state: Any, batch: int, times: int) -> Any:
    """Repeat the tensors of a state, of `batch` episodes (times P), for each episode."""

    def repeated(name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        groups = value.unflatten(0, (batch, -1))
        return groups[:, None].expand(-1, times, *groups.shape[1:]).flatten(0, 2)

    return map_state(state, repeated)


class AttentionBlock(nn.Module):
    """Pre-norm attention and MLP, with normalised queries and keys (Henry et al. 2020) and an optional bias."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        width, mlp_width, self.n_heads = model.width, model.mlp_width, model.n_heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_in, self.mlp_out = nn.Linear(width, mlp_width), nn.Linear(mlp_width, width)
        init_residual(self.attention_out, model.n_layers)
        init_residual(self.mlp_out, model.n_layers)
        self.log_scale = nn.Parameter(torch.full((self.n_heads, 1, 1), 0.5 * math.log(width // self.n_heads)))
        if model.similarity_bias:  # initially 0.3 of it in the first head, all of it in the last
            self.beta = nn.Parameter(model.similarity_bias * torch.linspace(0.3, 1.0, self.n_heads)[:, None, None])

    def forward(
        self,
        tokens: torch.Tensor,
        cached: KeysAndValues | None = None,
        *,
        mask: torch.Tensor | None = None,
        similarity: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, KeysAndValues]:
        """Run T tokens that read themselves and the S − T in the cache.

        Args:
            tokens: (B, T, width).
            cached: keys and values (B, H, S − T, width/H); None at the start.
            mask: (T, S) which tokens are read; by default all in the cache, or without a cache all up to their own.
            similarity: (B, T, S) scaled by β and added to the attention logits.

        Returns:
            (B, T, width), and all keys and values.
        """
        q, keys, values = self._read_and_cached(tokens, cached)
        bias, causal = self._bias(mask, similarity), mask is None and similarity is None and cached is None
        read = scaled_dot_product_attention(q, keys.tensor, values.tensor, attn_mask=bias, is_causal=causal)
        tokens = tokens + self.attention_out(join_heads(read))
        hidden = relu(self.mlp_in(self.norm_mlp(tokens)))  # on a CPU a quarter of the time of GELU
        return tokens + self.mlp_out(hidden), (keys, values)

    def weights(
        self,
        tokens: torch.Tensor,
        cached: KeysAndValues | None = None,
        *,
        mask: torch.Tensor | None = None,
        similarity: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the weights (B, H, T, S) of the values that `forward` reads, from the same arguments."""
        q, keys, _ = self._read_and_cached(tokens, cached)
        logits, bias = q @ keys.tensor.mT / math.sqrt(q.shape[3]), self._bias(mask, similarity)
        if bias is None and cached is None:
            bias = torch.ones(logits.shape[2:], dtype=torch.bool, device=logits.device).tril()
        if bias is not None:
            logits = logits.masked_fill(~bias, -torch.inf) if bias.dtype == torch.bool else logits + bias
        return logits.softmax(3)

    def _read_and_cached(self, tokens: torch.Tensor, cached: KeysAndValues | None) -> tuple[torch.Tensor, Rows, Rows]:
        """(B, T, width) → queries (B, H, T, width/H), and all keys and values."""
        parts = self.queries_keys_values(self.norm_attention(tokens)).chunk(3, 2)
        q, k, v = (split_heads(part, self.n_heads) for part in parts)
        q, k = normalize(q, dim=3) * self.log_scale.exp(), normalize(k, dim=3) * math.sqrt(q.shape[3])
        return q, *((Rows(k), Rows(v)) if cached is None else (cached[0].append(k), cached[1].append(v)))

    def _bias(self, mask: torch.Tensor | None, similarity: torch.Tensor | None) -> torch.Tensor | None:
        if similarity is None:
            return mask
        bias = self.beta * similarity[:, None]
        return bias if mask is None else bias.masked_fill(~mask, -torch.inf)
