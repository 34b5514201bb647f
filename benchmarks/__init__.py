"""Speed and memory, side by side with what users would pick instead.

One command for each question, such as `python -m benchmarks.step`; each measures its contenders in turns on one
machine, prints a table of ratios, and with `--record` replaces its own section of RESULTS.md.
"""
