"""The public Python surface: worlds, pairs, training, policies and proxies, for notebooks and for programs of users.

`import simulator` gives its names. It stands on what sweeps do, and does nothing that they do not: the same seed gives
the same bits either way.
"""
