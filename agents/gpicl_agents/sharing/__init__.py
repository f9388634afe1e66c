"""Learners that leave this machine: on the Hugging Face Hub, and as ONNX files."""
