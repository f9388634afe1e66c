"""Pictures of an episode: a frame, drawn as an image, as text or in a window."""
