"""Names of losses that try to do something where they are shown."""

HOSTILE = (
    "we$ird_.py:f",
    "_two$signs$^2.py:f_{x}",
    "\\frac{$\\badcommand$}.py:f",
    "</script><script>alert(1)</script><!--.py:f",
    "a\u2028b\x1b[31m\nc\x00.py:f",
    "[red]mark[/red] & 'quotes\".py:f",
    "../../../../tmp/out.py:f",
    "x" * 300 + ".py:f",
)
