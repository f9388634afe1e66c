"""How episodes are drawn: random words by counter, and from them the examples, labels and inputs."""
