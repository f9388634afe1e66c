"""What there is to see of an episode: a frame, as a picture, as text or in a window."""
