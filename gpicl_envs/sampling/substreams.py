"""The one list of what each stream of random words is for, so that no two things ever read the same words."""

# Purposes: a stream is named by (seed, purpose, number).
FIXED_TASK, ONE_OFF_TASK, EPISODE, SHARED = 1, 2, 4, 16

# Options have their substreams far above the small numbers, which several things count up from.
OPTIONS = 1 << 32

# Substreams of a task's stream; those of segment s of a drifting task begin at s · SEGMENT_SUBSTREAMS.
CLASSES, LABELS, BIAS, PROJECTION = 0, 1, 2, 3
FUNCTION, FUNCTION_CHOICES = 1, 2
SEGMENT_SUBSTREAMS = 4
CLASS_RANKS, FEATURE_PLACES, TASK_EXAMPLES = range(OPTIONS, OPTIONS + 3)  # TASK_EXAMPLES may read substreams after it

# Substreams of an episode's stream; without replacement, examples may be drawn from EXAMPLES and substreams after it.
TASK_ID, EXAMPLES = 0, 1
CLASS_SEQUENCE, SHOT_ORDER, IS_NOISY, NOISE, DISTRACTORS = range(OPTIONS, OPTIONS + 5)
