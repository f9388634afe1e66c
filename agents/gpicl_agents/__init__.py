"""Sequence models that are meta-trained into learning algorithms. One model a file."""

from gpicl_agents.pretrained import load_pretrained, pretrained_names

__all__ = ["load_pretrained", "pretrained_names"]
