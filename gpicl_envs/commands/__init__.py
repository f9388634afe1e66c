"""The commands of `gpicl`, one a file; agents and baselines are imported when a command runs."""
