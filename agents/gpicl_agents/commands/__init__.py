"""The commands of `gpicl` that need agents, one a file."""
