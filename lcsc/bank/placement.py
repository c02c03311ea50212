"""Where a run keeps its bank: on its device, in memory, or nowhere, streamed from its files."""

from __future__ import annotations

import torch

from lcsc.bank.bank import Bank, ResidentBank
from lcsc.bank.device_bank import DeviceBank
from lcsc.bank.memory import resident_bytes
from lcsc.progress import logger

# Of all memory that a device has, not of what is free: a device rounds otherwise than the CPU, so jobs on devices of
# one kind must choose alike, whatever else runs there. The rest is for networks, images and candidates.
DEVICE_SHARE = 0.25


def placed(bank: Bank, device: torch.device) -> Bank:
    """``bank`` where a run on ``device`` works on it; the log says where that is."""
    size = resident_bytes(bank.K, bank.P)
    if device.type != "cpu" and size <= device_bytes(device):
        found: Bank = DeviceBank.of(bank, device)
        where = f"kept on {device} and combined there"
    else:
        found = bank.kept()
        where = "kept in memory" if isinstance(found, ResidentBank) else "streamed at each pass"
    logger.debug("bank %s: %d checkpoints, %.2f GB, %s", bank.path, bank.K, size / 1e9, where)
    return found


def device_bytes(device: torch.device) -> int:
    """What a bank may take on ``device``."""
    if device.type != "cuda":
        return 0
    return int(DEVICE_SHARE * torch.cuda.get_device_properties(device).total_memory)
