"""Mechanics of the libraries that rewrite modules, shared by the tunings that use them; nothing else knows them."""
