"""How episodes are drawn: random words by counter (`philox`, `parts`), examples, labels and inputs of each of them."""
