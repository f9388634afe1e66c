"""The protocol that every learner keeps, the registry that finds one by name, and the checks of it."""
