"""How contenders are timed, in turns on one machine, and how results are written."""
