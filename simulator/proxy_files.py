"""Trained proxies as files: one of numpy arrays for each, and a table of what is said of all of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from simulator.files import write_whole
from simulator.proxies import Member, proxy_architecture
from simulator.records import Folder, write_table
from simulator.scoring import Trained


def save_proxy(trained: Trained, path: Path) -> None:
    """Write a proxy: `parameters` [D], and `scores` of the world's listing, as numpy arrays."""
    path.parent.mkdir(exist_ok=True)
    with write_whole(path) as file:
        np.savez(file, parameters=trained.parameters.numpy(), scores=trained.scores.astype(np.float32))


def load_proxy(folder: Folder, member: Member) -> Trained:
    """Read a proxy that `save_proxy` wrote."""
    with np.load(folder.network(member.name), allow_pickle=False) as arrays:
        return Trained(
            architecture=proxy_architecture(member.settings),
            parameters=torch.from_numpy(arrays["parameters"]),
            scores=arrays["scores"].astype(np.float64),
        )


def join_proxies(folder: Folder, members: Sequence[Member]) -> None:
    """Write `proxies.parquet` from the parts, in the order of `members`."""
    order = {member.name: i for i, member in enumerate(members)}
    table = pd.concat(folder.said_of_proxies(), ignore_index=True)
    table = table[table["proxy"].isin(order)].drop_duplicates("proxy", keep="last")
    write_table(table.sort_values("proxy", key=lambda names: names.map(order)), folder.proxies)
