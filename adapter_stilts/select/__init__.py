"""Which intermediate task helps a target, told before it is trained: estimators, their ranks together, and how well
they did where the truth is known.
"""
