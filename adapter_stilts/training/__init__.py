"""The training loop and its learner: which examples make a step, how a step updates weights, what survives a kill."""
