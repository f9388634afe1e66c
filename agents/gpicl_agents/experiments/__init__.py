"""The paper's experiments: one file each, run by one engine, with figures and findings made from records alone."""
