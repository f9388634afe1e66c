"""Random rules that label the rows of synthetic tables: every class gets a score, and the largest one decides.

Letters: B tables, N rows, F columns, K classes.
"""

import torch

from gpicl_envs.sampling.philox import Streams

KINDS = ("linear", "network", "prototypes", "tree", "clusters")
HIDDEN = 32  # units of the network
PROTOTYPES = 3  # at most, for each class
DEPTH, TREES = 5, 3  # at most
PROTOTYPE_DISTANCE, THRESHOLD_SCALE = 1.0, 0.7


class Draws:
    """Random numbers of B streams, each from the next substream: a function of the streams and of the order of calls.

    Args:
        streams: B streams.
        first: the first substream.
    """

    def __init__(self, streams: Streams, first: int) -> None:
        self.streams, self.substream = streams, first

    def normal(self, *shape: int) -> torch.Tensor:
        """Return (B, *shape) float32 standard normals."""
        return self.streams.normal(*shape, substream=self._next())

    def uniform(self, *shape: int) -> torch.Tensor:
        """Return (B, *shape) float32, uniform on [0, 1]."""
        count = torch.Size(shape).numel()
        return self.streams.uniform(count, self._next()).float().view(-1, *shape)

    def between(self, low: float, high: float) -> torch.Tensor:
        """Return (B, 1, 1) float32, uniform on [low, high]."""
        return low + (high - low) * self.uniform(1, 1)

    def below(self, bound: int, *shape: int) -> torch.Tensor:
        """Return (B, *shape) int64, uniform on 0 … bound − 1."""
        return (bound * self.uniform(*shape)).long().clamp(max=bound - 1)

    def chance(self, probability: float, *shape: int) -> torch.Tensor:
        """Return (B, *shape) bool, true with this probability; (B, 1, 1) by default."""
        return self.uniform(*shape or (1, 1)) < probability

    def permutation(self, n: int) -> torch.Tensor:
        """Return (B, n) int64: a uniform permutation in each row."""
        return self.streams.permutation(n, self._next())

    def _next(self) -> int:
        self.substream += 1
        return self.substream - 1


def class_scores(draw: Draws, kind: torch.Tensor, rows: torch.Tensor, n_columns: torch.Tensor, k: int) -> torch.Tensor:
    """Return a score for every class from one random rule for each table.

    Args:
        draw: random numbers of the B tasks.
        kind: (B,) number of the rule among `KINDS`; the rows of tables of clusters get scores that nobody uses.
        rows: (B, N, F) what the rule reads, about standard normal; zero in columns that the table does not have.
        n_columns: (B,) columns of each table.
        k: K.

    Returns:
        (B, N, K), each class standardised over the rows.
    """
    by_kind = torch.stack(
        [
            _linear(draw, rows, k),
            _network(draw, rows, n_columns, k),
            _prototypes(draw, rows, n_columns, k),
            _trees(draw, rows, n_columns, k),
        ]
    )
    chosen = kind.clamp(max=len(by_kind) - 1)[None, :, None, None].expand(1, -1, rows.shape[1], k)
    return standardised(by_kind.gather(0, chosen)[0])


def standardised(values: torch.Tensor) -> torch.Tensor:
    """(B, N, F) → the same with mean 0 and variance 1 over N; constant columns become 0."""
    values = values - values.mean(1, keepdim=True)
    deviation = values.square().mean(1, keepdim=True).sqrt()
    return torch.where(deviation > 1e-4, values / deviation.clamp_min(1e-4), 0.0)


def _linear(draw: Draws, rows: torch.Tensor, k: int) -> torch.Tensor:
    return torch.bmm(rows, draw.normal(rows.shape[2], k))


def _network(draw: Draws, rows: torch.Tensor, n_columns: torch.Tensor, k: int) -> torch.Tensor:
    """One hidden layer of tanh, rectified, sine or step units."""
    weights, offsets = draw.normal(rows.shape[2], HIDDEN), draw.normal(1, HIDDEN)
    gain = draw.between(0.5, 2.5) * n_columns[:, None, None].float() ** -0.5
    hidden = torch.bmm(rows, weights) * gain + offsets
    units = torch.stack([hidden.tanh(), hidden.relu(), hidden.sin(), hidden.sign()])
    chosen = draw.below(len(units), 1, 1)[None].expand(1, *hidden.shape)
    return torch.bmm(units.gather(0, chosen)[0], draw.normal(HIDDEN, k))


def _prototypes(draw: Draws, rows: torch.Tensor, n_columns: torch.Tensor, k: int) -> torch.Tensor:
    """Minus the squared distance to the nearest of one to three prototypes of each class."""
    has_column = (torch.arange(rows.shape[2], device=rows.device) < n_columns[:, None]).float()
    prototypes = PROTOTYPE_DISTANCE * draw.normal(PROTOTYPES * k, rows.shape[2]) * has_column[:, None]
    scores = 2 * torch.bmm(rows, prototypes.mT) - prototypes.square().sum(2)[:, None]
    count = draw.below(PROTOTYPES, 1, 1, 1)
    unused = torch.arange(PROTOTYPES, device=rows.device)[:, None] > count
    return scores.unflatten(2, (PROTOTYPES, k)).masked_fill(unused, -torch.inf).amax(2)


def _trees(draw: Draws, rows: torch.Tensor, n_columns: torch.Tensor, k: int) -> torch.Tensor:
    """The sum of one or three trees of depth 2 … 5, each with axis-aligned splits and normal scores at its leaves."""
    depth, one = 2 + draw.below(DEPTH - 1, 1, 1), draw.chance(0.5)
    total = rows.new_zeros(*rows.shape[:2], k)
    for tree in range(TREES):
        column = (draw.uniform(2**DEPTH) * n_columns[:, None]).long().clamp(max=rows.shape[2] - 1)
        threshold, leaves = THRESHOLD_SCALE * draw.normal(2**DEPTH), draw.normal(2**DEPTH, k)
        node = torch.ones(rows.shape[:2], dtype=torch.int64, device=rows.device)
        for level in range(DEPTH):
            value = rows.gather(2, column.gather(1, node)[..., None])[..., 0]
            child = 2 * node + (value > threshold.gather(1, node)).long()
            node = torch.where(depth[..., 0] > level, child, node) if level < DEPTH - 1 else _leaf(node, child, depth)
        scores = leaves.gather(1, node[..., None].expand(-1, -1, k))
        total = total + (scores if tree == 0 else torch.where(one, 0.0, scores))
    return total


def _leaf(node: torch.Tensor, child: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """The number of each row's leaf, below 2^DEPTH."""
    return torch.where(depth[..., 0] == DEPTH, child - 2**DEPTH, node)
