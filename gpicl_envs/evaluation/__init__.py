"""The evaluation of learners on the same episodes: learning curves with intervals, records, and comparisons."""
