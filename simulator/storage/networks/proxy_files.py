"""Trained proxies as files of numpy arrays."""

import io
from pathlib import Path

import numpy as np
import torch

from simulator.common.atomic_files import make_folder, write_atomically
from simulator.proxies.reward_model import Member, proxy_architecture
from simulator.proxies.scores import Trained
from simulator.storage.layout import ResultFolder


def save_proxy(trained: Trained, path: Path) -> str:
    """Write a proxy: `parameters` [D], and `scores` of the world's listing; its SHA-256. Raises StorageError."""
    make_folder(path.parent)
    content = io.BytesIO()
    np.savez(content, parameters=trained.parameters.numpy(), scores=trained.scores.astype(np.float32))
    return write_atomically(path, content.getvalue())


def load_proxy(folder: ResultFolder, member: Member) -> Trained:
    """Read a proxy that `save_proxy` wrote."""
    with np.load(folder.network(member.name), allow_pickle=False) as arrays:
        return Trained(
            architecture=proxy_architecture(member.settings),
            parameters=torch.from_numpy(arrays["parameters"]),
            scores=arrays["scores"].astype(np.float64),
        )
