"""Measured columns that are means over a policy's responses; every module here with a QUANTITY in it is found.

To add one, write a module: its column, how it is computed where every response is listed, and, if it can be, for a
response that was drawn.
"""
