"""Gold rewards that users bring: a function in a file of theirs, one given in Python, or a classifier in a folder.

Features that users bring are functions in files alone (features.py).
"""
