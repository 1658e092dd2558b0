"""Trains E1 in PyTorch by the experiment's protocol: torch_accuracy.py INPUTS SEED EPOCHS THREADS OUTPUT.

Weights are PyTorch's own default, drawn from the seed; INPUTS gives the network and the training images."""

import json
import sys
import time

import torch
from torch import nn

from peer_worker import Inputs
from torch_graph import Graph

BATCH = 32


def main():
    path, seed, epochs, threads, output = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    inputs = Inputs(path)
    model = Graph(inputs.network)
    images, labels = torch.from_numpy(inputs.images), torch.from_numpy(inputs.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    cross_entropy = nn.CrossEntropyLoss()
    losses, began = [], time.perf_counter()
    for epoch in range(epochs):
        total = 0.0
        for indices in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            loss = cross_entropy(model(images[indices].float()), labels[indices])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(indices)
        losses.append(total / len(labels))
        print(f"PyTorch, seed {seed}: epoch {epoch + 1} of {epochs}, mean loss {losses[-1]:.4f}, "
              f"{time.perf_counter() - began:.0f} s so far", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began
    test_images, test_labels = map(torch.from_numpy, Inputs.test_set(path))
    correct = right(model, test_images, test_labels)
    with open(output, "w") as file:
        json.dump({"system": "PyTorch", "version": f"PyTorch {torch.__version__}", "seed": seed, "epochs": epochs,
                   "test_correct": correct, "test_accuracy": correct / len(test_labels), "mean_losses": losses,
                   "seconds": seconds}, file)


def right(model, images, labels):
    with torch.no_grad():
        return sum(int((model(x.float()).argmax(1) == y).sum())
                   for x, y in zip(images.split(1000), labels.split(1000), strict=True))


if __name__ == "__main__":
    main()
