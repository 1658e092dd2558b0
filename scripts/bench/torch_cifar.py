"""Trains a network on folders of small pictures in PyTorch: torch_cifar.py CONFIG, JSON with network, train, test, seed, epochs,
batch, learning_rate, momentum, weight_decay, mean, std, crop, threads and output.

torchvision's ImageFolder reads each file once; the pixels stay in memory, and a batch is flipped and cropped with padding as
torchvision's RandomHorizontalFlip and RandomCrop do, all its pictures at a time. SGD with momentum, the learning rate falling
by a cosine with every step. The test set is evaluated after each epoch."""

import json
import pathlib
import sys
import time

import numpy as np
import torch
from torch import nn
from torchvision import datasets

from torch_graph import Graph


def load(folder):
    """All pictures of a folder of class folders, N×C×H×W bytes, and their labels."""
    files = datasets.ImageFolder(folder)
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture, _ in files])).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.tensor(files.targets), files.classes


def augmented(pixels, crop):
    """Each picture flipped or not, and cut out of itself in a black frame."""
    count, channels, height, width = pixels.shape
    framed = nn.functional.pad(pixels, (crop,) * 4)
    framed = torch.where((torch.rand(count) < 0.5)[:, None, None, None], framed.flip(3), framed)
    rows = torch.randint(0, 2 * crop + 1, (count, 1)) + torch.arange(height)
    columns = torch.randint(0, 2 * crop + 1, (count, 1)) + torch.arange(width)
    images = torch.arange(count)[:, None, None]
    return framed.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def main():
    config = json.loads(pathlib.Path(sys.argv[1]).read_text())
    torch.set_num_threads(config["threads"])
    torch.manual_seed(config["seed"])
    began = time.perf_counter()
    pixels, labels, classes = load(config["train"])
    test_pixels, test_labels, test_classes = load(config["test"])
    if classes != test_classes:
        sys.exit("torch_cifar: the sets have other classes")
    mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("mean", "std"))

    def fed(pixels):
        return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    model = Graph(config["network"]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=config["learning_rate"], momentum=config["momentum"],
                                weight_decay=config["weight_decay"], fused=True)
    steps = (len(labels) - 1) // config["batch"] + 1
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config["epochs"] * steps)
    cross_entropy = nn.CrossEntropyLoss()
    epochs = []
    for epoch in range(config["epochs"]):
        model.train()
        start, total = time.perf_counter(), 0.0
        for some in torch.randperm(len(labels)).split(config["batch"]):
            optimizer.zero_grad()
            loss = cross_entropy(model(fed(augmented(pixels[some], config["crop"]))), labels[some])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(some)
        seconds = time.perf_counter() - start
        model.eval()
        with torch.no_grad():
            right = sum(int((model(fed(x)).argmax(1) == y).sum()) for x, y in zip(test_pixels.split(250), test_labels.split(250)))
        epochs.append({"mean_loss": total / len(labels), "seconds": seconds, "test_accuracy": right / len(test_labels)})
        print(f"PyTorch, seed {config['seed']}: epoch {epoch + 1}: {epochs[-1]}", file=sys.stderr, flush=True)
    pathlib.Path(config["output"]).write_text(json.dumps({
        "version": f"PyTorch {torch.__version__}", "epochs": epochs, "images": [len(labels), len(test_labels)],
        "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
