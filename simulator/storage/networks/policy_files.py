"""Policies as files of safetensors, which hold numbers and no code.

A file has the tensor `parameters` [R, D], a row for each policy, and in its metadata one text of JSON with the sizes of
the network, what each policy is, and the SHA-256 of both; files of version 0.6.0 have texts of their own. Policies that
tilt the reference's law have that law and their features beside them, as further tensors. Shapes: R policies, D numbers
of one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from simulator.common.atomic_files import make_folder, write_atomically
from simulator.common.errors import ConfigError, short
from simulator.engine.snapshots import fingerprint
from simulator.networks.architecture import Architecture
from simulator.networks.listing.response_list import list_responses
from simulator.worlds.policy_classes.tilted import Tilted

FORMAT, FIRST_FORMAT = "alignment-simulator policies 2", "alignment-simulator policies 1"
LONGEST_HEADER = 2**27  # bytes of what a file says of itself; more is no file of ours


@dataclass(frozen=True, kw_only=True)
class StoredPolicies:
    """What a file of policies holds."""

    parameters: Tensor  # float32 [R, D]
    architecture: Architecture
    prompt_length: int
    end: int | None  # the token that ends a response
    reference_sha256: str
    table: pd.DataFrame  # what each policy is, R rows
    tilted: Tilted | None = None  # the class of policies that are no transformers


def write_policies(stored: StoredPolicies, path: Path) -> str:
    """Write policies to a file, whole or not at all; its SHA-256. Raises StorageError."""
    tensors, table = {"parameters": stored.parameters.detach().cpu().contiguous()}, stored.table
    tensors |= {} if stored.tilted is None else stored.tilted.tensors()
    about = {
        "architecture": asdict(stored.architecture),
        "prompt_length": stored.prompt_length,
        "end": stored.end,
        "reference_sha256": stored.reference_sha256,
        "table": {name: [plain(value) for value in table[name].astype(object)] for name in table},
        "types": {name: str(table[name].dtype) for name in table},
        **({} if stored.tilted is None else {"kind": stored.tilted.kind}),
    }
    told = json.dumps(about)
    # In one text, since the order of several would be another each time, and so would the bits of the file.
    metadata = {"policies": json.dumps({"format": FORMAT, "about": told, "sha256": checksum(tensors, told)})}
    make_folder(path.parent)
    return write_atomically(path, save(tensors, metadata=metadata))


def plain(value: Any) -> Any:
    """A value of a table as JSON has it."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    return value.item() if hasattr(value, "item") else value


def checksum(tensors: Mapping[str, Tensor], about: str) -> str:
    """The SHA-256 of tensors and of what is said about them."""
    return hashlib.sha256(f"{fingerprint(tensors)}\n{about}".encode()).hexdigest()


def read_policy_file(path: Path) -> StoredPolicies:
    """The policies in a file. Raises ConfigError where it cannot be read, or is not as it was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{short(str(path))}: cannot be read ({error.strerror or error})") from None
    try:
        tensors = load(content)
        about = told_in(content[8 : 8 + int.from_bytes(content[:8], "little")], tensors)
        table = pd.DataFrame(about["table"]).astype(about["types"])
        stored = StoredPolicies(
            parameters=tensors["parameters"],
            architecture=Architecture(**about["architecture"]),
            prompt_length=about["prompt_length"],
            end=about["end"],
            table=table,
            reference_sha256=about["reference_sha256"],
            tilted=tilted_in(about, tensors),
        )
        row = stored.architecture.row if stored.tilted is None else len(stored.tilted.start)
        if stored.parameters.shape != (len(table), row) or stored.parameters.dtype != torch.float32:
            raise ValueError("its parameters are not of the policies that it names")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{short(str(path))}: is no file of policies that Policies.save wrote ({error})") from None
    return stored


def tilted_in(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Tilted | None:
    """The class of the policies in a file; None for transformers. Raises KeyError where a tensor is not there."""
    if "kind" not in about:
        return None
    return Tilted(
        kind=about["kind"],
        prompts=tensors["prompts"],
        listed=list_responses(about["architecture"]["vocabulary"], int(tensors["responses"].shape[1]), about["end"]),
        log_reference=tensors["log_reference"],
        features=tensors.get("features"),
    )


def told_in(header: bytes, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the header of a file says of its policies. Raises ValueError where that is not as it was written."""
    metadata = metadata_in(header)
    if metadata.get("format") not in (FORMAT, FIRST_FORMAT):
        raise ValueError(f"its format is not {FORMAT!r}")
    if metadata.get("sha256") != checksum(tensors, metadata["about"]):
        raise ValueError("it is not as it was written")
    about: dict[str, Any] = json.loads(metadata["about"])
    return about


def metadata_in(header: bytes) -> dict[str, Any]:
    """What a file says of itself, in either format. Raises ValueError, TypeError and AttributeError."""
    metadata: dict[str, Any] = json.loads(header).get("__metadata__", {})
    return dict(json.loads(metadata["policies"])) if "policies" in metadata else metadata


def table_of(path: Path) -> pd.DataFrame:
    """What the policies of a file are, a row each, read without their parameters; no rows where it is none of ours."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if 0 < length < LONGEST_HEADER else b""
        about = json.loads(metadata_in(header)["about"])
        return pd.DataFrame(about["table"]).astype(about["types"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return pd.DataFrame({"run_id": [], "step": []})
