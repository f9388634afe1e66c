"""Classical learners, which compute each prediction from the previous examples without gradient steps."""
