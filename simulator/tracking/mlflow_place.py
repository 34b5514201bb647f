"""Where MLflow keeps what is logged: where the user's own settings say, else in the working folder, as MLflow does.

`MLFLOW_TRACKING_URI` names the store; without it this is the file `mlflow.db` in the working folder, with what was
drawn in `mlruns/`, which `mlflow ui` finds there. MLflow itself would report to its makers which of its functions are
called; that is switched off here, unless the user's own `MLFLOW_DISABLE_TELEMETRY` says otherwise.
"""

import os
import re
from pathlib import Path

from simulator.common.atomic_files import unwritable
from simulator.common.errors import ConfigError, shown

STORE = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
EXPERIMENT_ID = "MLFLOW_EXPERIMENT_ID"
DEFAULT_FILE = "mlflow.db"
DEFAULT_EXPERIMENT = "alignment-simulator"
SILENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
APART = {  # in a process of its own
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # a line of ours has the error
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",  # half a minute, where a server is away; MLflow would try for four
}
SECRET = re.compile(r"//[^/@]*@")


def be_silent() -> None:
    """Switch off what MLflow would report and print, where the user has not said otherwise; before it is imported."""
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)


def check_place(option: str) -> None:
    """Raises ConfigError where the store is a file that cannot be written. option: as the user gave it."""
    uri = os.environ.get(STORE, "")
    if uri and not uri.startswith("sqlite:///"):
        return
    path = Path(uri.removeprefix("sqlite:///").partition("?")[0] or DEFAULT_FILE)
    why = unwritable(path.parent) or (f"{path} is a directory" if path.is_dir() else "")
    if why or (path.exists() and not os.access(path, os.W_OK)):
        named = f"{STORE} = {shown(uri)}" if uri else str(path)
        raise ConfigError(f"{option}: {named}: cannot be written ({why or 'no permission'})")


def without_secret(uri: str) -> str:
    """A URI without the name and password that it may have."""
    return SECRET.sub("//", uri)
