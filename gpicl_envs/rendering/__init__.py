"""Pictures of an episode: a frame, drawn as an image or as text, or shown in a window."""
