"""Planning: from a recipe to stages. Functions return what they add; nothing is run, and no examples are read."""
