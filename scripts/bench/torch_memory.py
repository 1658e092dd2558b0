"""Trains one of torchvision's networks for some steps on images of noise, and prints what the process held at most:
torch_memory.py NETWORK SIZE BATCH STEPS THREADS. The figures are Linux's VmHWM, before the network was made and after the steps."""

import json
import pathlib
import re
import sys

import torch
import torch.nn.functional as F
import torchvision


def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def main():
    network, size, batch, steps, threads = sys.argv[1], *map(int, sys.argv[2:])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    before = peak()
    model = torchvision.models.get_model(network, num_classes=1000)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    loss = None
    for _ in range(steps):
        images = torch.rand(batch, 3, size, size) * 2 - 1
        labels = torch.arange(batch) % 1000
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    print(json.dumps({"before": before, "peak": peak(), "loss": loss.item(),
                      "version": f"PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
