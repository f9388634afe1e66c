import os
import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np, torch
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.philox_triton import triton_words

key, number = (np.array(words, np.uint64) for words in ([0, 1, 2**64 - 1, 2**63], [0, 7, 2**64 - 1, 5]))
streams = Streams(key, number, 3, torch.device("cpu"))
for n_words in (1, 4, 5, 1030):
    for substream in (0, 1, 5000):
        words = triton_words(*streams._names, 3, substream, n_words)
        assert torch.equal(words, streams.words(n_words, substream)), (n_words, substream)
"""


def test_the_kernel_gives_the_words_of_numpy():
    """In Triton's interpreter, which needs no GPU."""
    pytest.importorskip("triton", reason="no Triton")
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], check=True, env=environment)
