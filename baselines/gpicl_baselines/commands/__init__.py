"""The commands of `gpicl` that need baselines, one a file."""
