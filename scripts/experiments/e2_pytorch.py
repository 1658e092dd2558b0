"""Train E2 in PyTorch by the notebook's protocol, for a curve beside Slipway's.

    .cache/bench-venv/bin/python scripts/experiments/e2_pytorch.py --seed 0 --out docs/e2/pytorch.csv

Pixels 0...255 unscaled, batches of 32 reshuffled every epoch, Adam with
PyTorch's defaults, dropout 0.5, and 0.001 * (sum of L1 norms + sum of L2 norms,
not squared) over all parameter tensors. Reads the training set as train does,
from the user's cache (`bin/dataset fetch` fills it).
"""

import argparse
import csv
import gzip
import os
import pathlib
import struct
import time

import numpy
import torch
from torch import nn


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "slipway" / "mnist"


def read(path):
    with gzip.open(path, "rb") as file:
        data = file.read()
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * rank).reshape(shape)


def load(part, folder):
    images = read(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read(folder / f"{part}-labels-idx1-ubyte.gz")
    return torch.from_numpy(images.copy()).float().unsqueeze(1), torch.from_numpy(labels.copy()).long()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--until-loss", type=float, default=0.38)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    images, labels = load("train", cache())
    test_images, test_labels = load("t10k", pathlib.Path(__file__).parents[2] / "dataset" / "t10k")
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    rows = []
    for epoch in range(1, options.epochs + 1):
        model.train()
        began, total = time.time(), 0.0
        order = torch.randperm(len(images))
        for indices in order.split(32):
            loss = criterion(model(images[indices]), labels[indices])
            loss = loss + 0.001 * sum(p.abs().sum() for p in model.parameters())
            loss = loss + 0.001 * sum(torch.linalg.vector_norm(p) for p in model.parameters())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(indices)
        seconds = time.time() - began
        model.eval()
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(test_images.split(1000), test_labels.split(1000)))
        rows.append({"epoch": epoch, "mean_loss": total / len(images), "test_accuracy": right / len(test_images), "seconds": round(seconds, 2)})
        print(rows[-1], flush=True)
        path = pathlib.Path(options.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        if rows[-1]["mean_loss"] < options.until_loss:
            break


if __name__ == "__main__":
    main()
