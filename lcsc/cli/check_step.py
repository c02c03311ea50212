"""What ``lcsc check`` does: two images of the first checkpoint, which every step that scores makes first, too."""

from __future__ import annotations

import argparse

from lcsc.cli.settings import measured, step_settings_of
from lcsc.devices import device_of_job
from lcsc.progress import logger
from lcsc.runtime import deterministic, limit_threads_before_imports


def check(options: argparse.Namespace) -> None:
    """``lcsc check``."""
    settings = step_settings_of(options, "baselines")
    threads = int(settings["threads"])
    limit_threads_before_imports(threads)
    with measured("check", options) as cost, deterministic(threads):
        from lcsc.bank import Bank
        from lcsc.dry_check import check_generator
        from lcsc.generators import build_generator, generator_settings, image_shape_of

        device, bank, own = device_of_job(options.device), Bank.open(options.bank), generator_settings(settings)
        generator = build_generator(own, bank.tensors, bank.others(), device)
        images = check_generator(generator, bank, image_shape_of(own))
        cost.images, cost.threads, cost.device = len(images), threads, device.type
    logger.info("names and shapes of %d tensors fit: K = %d, P = %s", len(bank.tensors), bank.K, f"{bank.P:,}")
    logger.info(
        "%d images of the checkpoint of step %d: shape %s, mean %.3f, standard deviation %.3f, NFE %d",
        len(images), bank.steps[0], list(images.shape[1:]), images.mean(), images.std(), generator.nfe,
    )  # fmt: skip
