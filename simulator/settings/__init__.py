"""The tables of a sweep file, for one run."""
