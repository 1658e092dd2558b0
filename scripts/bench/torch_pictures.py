"""Trains a network on folders of pictures in PyTorch: torch_pictures.py CONFIG, JSON with network, train, test, seed, epochs,
batch, learning_rate, threads, workers and output.

torchvision's ImageFolder reads train and test, and DataLoaders with so many worker processes make batches. Pictures are
flipped and cropped with padding, and fed as (x/255 - 0.5)/0.5. The test set is evaluated after each epoch. Weights are
PyTorch's own default, drawn from the seed."""

import json
import pathlib
import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from torch_worker import build

CROP = 4


def loaders(config):
    fed = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
    size = config["network"]["input"][1]
    changed = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(size, padding=CROP)]
    training = datasets.ImageFolder(config["train"], transforms.Compose(changed + fed))
    test = datasets.ImageFolder(config["test"], transforms.Compose(fed))
    if training.classes != test.classes:
        sys.exit("torch_pictures: the sets have other classes")
    workers = {"num_workers": config["workers"], "persistent_workers": True}
    return (DataLoader(training, config["batch"], shuffle=True, **workers),
            DataLoader(test, 256, **workers))


def right(model, loader):
    with torch.no_grad():
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in loader)


def main():
    config = json.loads(pathlib.Path(sys.argv[1]).read_text())
    torch.set_num_threads(config["threads"])
    torch.manual_seed(config["seed"])
    training, test = loaders(config)
    model = build(config["network"])
    optimizer = torch.optim.Adam(model.parameters(), lr=config["learning_rate"], fused=True)
    cross_entropy = nn.CrossEntropyLoss()
    epochs, began = [], time.perf_counter()
    for epoch in range(config["epochs"]):
        start, total = time.perf_counter(), 0.0
        for x, y in training:
            optimizer.zero_grad()
            loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        seconds = time.perf_counter() - start
        epochs.append({"mean_loss": total / len(training.dataset), "seconds": seconds,
                       "test_accuracy": right(model, test) / len(test.dataset)})
        print(f"PyTorch, seed {config['seed']}: epoch {epoch + 1}: {epochs[-1]}", file=sys.stderr, flush=True)
    pathlib.Path(config["output"]).write_text(json.dumps({
        "version": f"PyTorch {torch.__version__}", "epochs": epochs, "images": [len(training.dataset), len(test.dataset)],
        "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
