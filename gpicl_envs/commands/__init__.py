"""Commands of the terminal that are more than a call: `cli.py` joins them."""
