"""Reads a folder of pictures as PyTorch's users do, and trains on nothing: torch_feed.py FOLDER SIZE BATCH WORKERS EPOCHS KIND.

torchvision's ImageFolder opens and decodes each file with Pillow, RandomResizedCrop and RandomHorizontalFlip change it, and
the DataLoader's worker processes put batches together. KIND bytes makes uint8 tensors of the pictures, H×W×C as Pillow has
them, values float32 ones by ToTensor. It prints a line of JSON for each epoch."""

import json
import pathlib
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import machine


def as_bytes(image):
    return torch.from_numpy(np.array(image))


def peak_megabytes(pids):
    """The sum of the processes' high-water marks, in MB; what they share is counted for each."""
    kibibytes = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                kibibytes += int(line.split()[1])
    return kibibytes * 1024 / 1e6


def cpu_seconds(pids):
    """What the processes have computed."""
    return sum(machine.own_ticks(pid) for pid in pids) / machine.TICKS


def main():
    folder, size, batch, workers, epochs, kind = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
    torch.manual_seed(1)
    torch.set_num_threads(1)  # the workers have the CPUs
    began = time.perf_counter()
    last = as_bytes if kind == "bytes" else transforms.ToTensor()
    images = datasets.ImageFolder(folder, transforms.Compose(
        [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(), last]))
    loader = DataLoader(images, batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    opened = time.perf_counter() - began
    pids, busy = ["self"], cpu_seconds(["self"])
    for epoch in range(epochs):
        began, count = time.perf_counter(), 0
        iterator = iter(loader)
        for x, _ in iterator:
            count += len(x)
        seconds = time.perf_counter() - began
        pids = ["self"] + [worker.pid for worker in getattr(iterator, "_workers", [])]
        busy, before = cpu_seconds(pids), busy
        print(json.dumps({"epoch": epoch + 1, "images": count, "seconds": seconds, "cpu_seconds": busy - before,
                          "open_seconds": opened, "peak_megabytes": peak_megabytes(pids)}), flush=True)
        opened = 0


if __name__ == "__main__":
    main()
