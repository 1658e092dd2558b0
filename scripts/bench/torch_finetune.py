"""Trains a network on in PyTorch, its head first: torch_finetune.py CONFIG, JSON with network, head, weights, train, test,
seed, epochs, frozen, batch, head_rate, rate, mean, std, size, threads and output.

weights is a safetensors file. In the first frozen epochs the head alone is trained, on pictures as they are, and what lies below it
computes without gradients; then everything is trained, on random resized crops and flips. Batch normalisation is in eval mode all
the time. Adam with two param groups, as torchvision's ImageFolder and a DataLoader on the main process give batches. The test
set is evaluated after each epoch."""

import json
import pathlib
import sys
import time

import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from torch_graph import Graph


def loaders(config):
    size, fed = config["size"], [transforms.ToTensor(), transforms.Normalize(config["mean"], config["std"])]
    plain = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size)] + fed)
    changed = transforms.Compose([transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()] + fed)
    sets = [datasets.ImageFolder(config["train"], plain), datasets.ImageFolder(config["train"], changed),
            datasets.ImageFolder(config["test"], plain)]
    if sets[0].classes != sets[2].classes:
        sys.exit("torch_finetune: the sets have other classes")
    # In phase 1 and in the evaluation the decoded pictures are the same in each epoch: they are kept.
    kept = [list(sets[0]), sets[1], list(sets[2])]
    return (DataLoader(kept[0], config["batch"], shuffle=True), DataLoader(kept[1], config["batch"], shuffle=True),
            DataLoader(kept[2], 32))


def main():
    config = json.loads(pathlib.Path(sys.argv[1]).read_text())
    torch.set_num_threads(config["threads"])
    torch.manual_seed(config["seed"])
    began = time.perf_counter()
    plain, changed, test = loaders(config)
    model = Graph(config["network"])
    # strict: every tensor has its place; PyTorch's counters of batches are not in the file.
    missing, unexpected = model.load_state_dict(load_file(config["weights"]), strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        sys.exit(f"torch_finetune: missing {missing}, unexpected {unexpected}")
    model = model.to(memory_format=torch.channels_last)
    model.eval()  # batch normalisation keeps its statistics; there is no dropout in the model
    head = [p for name, p in model.named_parameters() if name.rpartition(".")[0] == config["head"]]
    trunk = [p for name, p in model.named_parameters() if name.rpartition(".")[0] != config["head"]]
    for p in trunk:
        p.requires_grad_(False)
    optimizer = torch.optim.Adam([{"params": head, "lr": config["head_rate"]}], fused=True)
    cross_entropy = nn.CrossEntropyLoss()
    epochs = []
    for epoch in range(config["epochs"]):
        if epoch == config["frozen"]:
            for p in trunk:
                p.requires_grad_(True)
            optimizer.add_param_group({"params": trunk, "lr": config["rate"]})
        training = plain if epoch < config["frozen"] else changed
        start, total, images = time.perf_counter(), 0.0, 0
        for x, y in training:
            optimizer.zero_grad()
            loss = cross_entropy(model(x.contiguous(memory_format=torch.channels_last)), y)
            loss.backward()
            optimizer.step()
            total, images = total + loss.item() * len(y), images + len(y)
        seconds = time.perf_counter() - start
        with torch.no_grad():
            right = sum(int((model(x.contiguous(memory_format=torch.channels_last)).argmax(1) == y).sum()) for x, y in test)
        epochs.append({"mean_loss": total / images, "seconds": seconds, "test_accuracy": right / len(test.dataset)})
        print(f"PyTorch, seed {config['seed']}: epoch {epoch + 1}: {epochs[-1]}", file=sys.stderr, flush=True)
    pathlib.Path(config["output"]).write_text(json.dumps({
        "version": f"PyTorch {torch.__version__}", "epochs": epochs, "images": [images, len(test.dataset)],
        "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
