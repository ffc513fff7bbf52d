"""The encoder, its heads, what is trained of it, and the bundles that come out."""
