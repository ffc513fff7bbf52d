"""The training loop: which examples make a step, how a step runs without padding, what survives a kill."""
