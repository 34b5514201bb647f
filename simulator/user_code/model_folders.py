"""Folders of Hugging Face models: what is read of them, and what never is.

Weights are read from safetensors alone. Other formats can run code when they are opened, and so can code that a
folder brings along; neither is ever opened or run. Nothing is downloaded.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.common.errors import ConfigError

MOST_BYTES = 2**33  # of all files of a folder
CODE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
WRITTEN = "name a folder that save_pretrained has written"
INSTALL = "needs Hugging Face transformers; install it with: pip install 'alignment-simulator[hf]'"

Complain = Callable[[str], ConfigError]


def check_files(files: list[Path], error: Complain, kind: str) -> None:
    """Raises ConfigError where a folder has not what a model is read from, or is too large.

    kind: the class of transformers that would convert weights.
    """
    names = {path.name for path in files}
    if not any(path.suffix == ".safetensors" for path in files):
        if pickled := [path.name for path in files if path.suffix in CODE]:
            raise error(
                f"has its weights in {pickled[0]} alone, a format that can run code and is never opened; convert it "
                f"where you trust it: {kind}.from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True)"
            )
        raise error(f"has no weights, model.safetensors; {WRITTEN}")
    if "config.json" not in names:
        raise error(f"has no config.json; {WRITTEN}")
    size = sum(path.stat().st_size for path in files)
    if size > MOST_BYTES:
        raise error(f"has {size / 2**30:.1f} GiB; at most {MOST_BYTES / 2**30:.0f} GiB are read")


def config_in(folder: Path, error: Complain) -> dict[str, Any]:
    """The config.json of a folder. Raises ConfigError where it is none, or names code to be run."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as fault:
        raise error(f"its config.json cannot be read ({type(fault).__name__})") from None
    if not isinstance(config, dict):
        raise error("its config.json must be a table")
    if "auto_map" in config:
        raise error("its config.json names code of its own (auto_map), which is never run")
    return config


@contextmanager
def read_quietly(error: Complain, kind: str) -> Iterator[dict[str, Any]]:
    """Read with transformers, which says nothing meanwhile; the block is given the options that keep it here.

    Raises ConfigError where transformers is not there, or whatever is wrong with a folder.
    """
    try:
        from transformers.utils import logging
    except ImportError:
        raise error(INSTALL) from None
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield {"local_files_only": True, "trust_remote_code": False}
    except ConfigError:
        raise
    except Exception as fault:  # whatever a folder makes of a library
        text = " ".join(str(fault).split())[:300]
        raise error(f"cannot be read as {kind} ({type(fault).__name__}: {text})") from None
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


WEIGHTS: dict[str, Any] = {
    "use_safetensors": True,
    "output_loading_info": True,
    "ignore_mismatched_sizes": True,  # they are in the information, and refused with what they are
    "dtype": "float32",
}


def missing_weights(loading: dict[str, Any]) -> list[str]:
    """The weights that a model has and its folder has not, or of another shape."""
    wrong = [str(each[0] if isinstance(each, tuple) else each) for each in loading.get("mismatched_keys", ())]
    return sorted(loading["missing_keys"]) + sorted(wrong)
