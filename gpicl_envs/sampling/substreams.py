"""The purpose of each stream of random words, in one list, so that no two quantities read the same words."""

# Purposes: a stream is named by (seed, purpose, number).
FIXED_TASK, ONE_OFF_TASK, EPISODE, MIXTURE, SHARED = 1, 2, 4, 5, 16
PROJECTED_PROBLEM, NUMBERED_PROJECTION = 32, 33  # of environments that are wrapped in a random projection

# Substreams of options lie far above the small numbers, from which some draws count upwards.
OPTIONS = 1 << 32

# Substreams of a task's stream; those of segment s of a drifting task begin at s · SEGMENT_SUBSTREAMS.
CLASSES, LABELS, BIAS, PROJECTION = 0, 1, 2, 3
FUNCTION, FUNCTION_CHOICES = 1, 2
SEGMENT_SUBSTREAMS = 4
CLASS_RANKS, FEATURE_PLACES, TASK_EXAMPLES = range(OPTIONS, OPTIONS + 3)  # TASK_EXAMPLES may also read those after it
ACTIVE_COUNT, ACTIVE_CLASSES, SPECTRUM = range(2 * OPTIONS, 2 * OPTIONS + 3)  # after all that those may read

# Substreams of an episode's stream; draws without replacement may also read those after EXAMPLES.
TASK_ID, EXAMPLES = 0, 1
CLASS_SEQUENCE, SHOT_ORDER, IS_NOISY, NOISE, DISTRACTORS = range(OPTIONS, OPTIONS + 5)
IS_BURSTY, BURSTY_CLASSES, BURST_ORDER, QUERY, ORTHANT = range(OPTIONS + 5, OPTIONS + 10)
STREAM_START = OPTIONS + 10

# Of the streams of synthetic tables, which draw from many successive substreams.
TABLE = 4 * OPTIONS

# Of in-context RL problems: those of the task's stream, and those of the episode's.
ARMS, TRANSITIONS, MEAN_REWARDS, GOAL = range(16 * OPTIONS, 16 * OPTIONS + 4)
PULLS, MOVES, REWARD_NOISE = range(17 * OPTIONS, 17 * OPTIONS + 3)

# Of random projections of in-context RL problems.
PROJECTION_ID, PROJECTED_INPUTS, ACTION_ORDER, SURPLUS_ACTIONS, ACTION_ROTATION = range(18 * OPTIONS, 18 * OPTIONS + 5)
