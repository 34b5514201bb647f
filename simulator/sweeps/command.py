"""The command `schema`. What is heavy is imported when it runs."""


def schema() -> None:
    """Print the JSON Schema of sweep files, for editors that complete keys and mark mistakes.

    Save it beside your sweeps, as with `python run.py schema > sweep.schema.json`; with `#:schema sweep.schema.json` on
    the first line of a sweep, editors that use Taplo, such as VS Code with Even Better TOML, find it.
    """
    from simulator.common.terminal import say
    from simulator.sweeps.json_schema import schema_text

    say(*schema_text().split("\n"))
