"""Trains the recipe in PyTorch: recipe_pytorch.py DESCRIPTION SEED THREADS, and prints the outcome as JSON.

DESCRIPTION is what `recipe -describe` prints: the network and the configuration. Network, initial distribution, batches,
optimizer, schedule and augmentation are the recipe's; the random numbers are PyTorch's own. What PyTorch may do its own way is
done as fast as was found: pixels are scaled before the clock starts, a batch of shifted images is one gather, memory is
channels last (5.0 s against 6.3), Adam is fused.
"""

import json
import pathlib
import sys
import time

import torch
from torch import nn
from torch.optim import lr_scheduler

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
from e2_pytorch import cache, load  # noqa: E402
from torch_worker import build  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


def scaled(images, pixels):
    if pixels == "0-255":
        return images
    if pixels == "0-1":
        return images / 255
    mean, deviation = map(float, pixels.split(","))
    return (images / 255 - mean) / deviation


def optimizer(config, parameters):
    rule = config["optimizer"]
    rate, decay = rule["learning_rate"], rule.get("weight_decay", 0)
    if rule["name"] in ("adam", "adamw"):
        kind = torch.optim.Adam if rule["name"] == "adam" else torch.optim.AdamW
        return kind(parameters, lr=rate, betas=(rule["beta1"], rule["beta2"]), eps=rule["epsilon"], weight_decay=decay, fused=True)
    if rule["name"] == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=rule.get("momentum", 0), nesterov=rule.get("nesterov", False),
                               weight_decay=decay, fused=True)
    raise ValueError(f"optimizer {rule['name']} is not known here")


def scheduler(config, rule, steps):
    schedule, rate = config.get("schedule"), config["optimizer"]["learning_rate"]
    if schedule is None:
        return lr_scheduler.LambdaLR(rule, lambda step: 1.0)
    if schedule["epochs"] != config["epochs"]:
        raise ValueError("a schedule of another length than the run is not known here")
    final = schedule.get("final", 0)
    if schedule["name"] == "linear":
        return lr_scheduler.LinearLR(rule, start_factor=1, end_factor=final, total_iters=steps)
    if schedule["name"] == "cosine":
        return lr_scheduler.CosineAnnealingLR(rule, T_max=steps, eta_min=final * rate)
    return lr_scheduler.OneCycleLR(rule, max_lr=rate, total_steps=steps, pct_start=schedule["warmup"],
                                   div_factor=1 / schedule["first"], final_div_factor=schedule["first"] / final,
                                   cycle_momentum=False)


class Shifted:
    """Batches of images, each moved by -k...k pixels in both directions; what comes in at an edge is a black pixel."""

    def __init__(self, images, k, black):
        self.k = k
        padded = nn.functional.pad(images[:, 0], (k, k, k, k), value=black)
        # Every window of the padded image, as a view: N x (2k+1) x (2k+1) x H x W.
        self.windows = padded.unfold(1, images.shape[2], 1).unfold(2, images.shape[3], 1)

    def epoch(self):
        self.down, self.right = torch.randint(0, 2 * self.k + 1, (2, len(self.windows)))

    def batch(self, indices):
        return self.windows[indices, self.down[indices], self.right[indices]].unsqueeze(1).contiguous(memory_format=torch.channels_last)


class Still:
    def __init__(self, images):
        self.images = images

    def epoch(self):
        pass

    def batch(self, indices):
        return self.images[indices].contiguous(memory_format=torch.channels_last)


def main():
    description, seed, threads = json.loads(pathlib.Path(sys.argv[1]).read_text()), int(sys.argv[2]), int(sys.argv[3])
    config = description["config"]
    augmentation = config.get("augmentation", {})
    if "rotation" in augmentation:
        raise ValueError("rotation is not known here")
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(seed)
    images, labels = load("train", cache())
    test_images, test_labels = load("t10k", ROOT / "dataset" / "t10k")
    images, test_images = scaled(images, config["pixels"]), scaled(test_images, config["pixels"])
    model = build(description["network"]).to(memory_format=torch.channels_last)
    shift = augmentation.get("shift", 0)
    source = Shifted(images, shift, scaled(torch.zeros(1), config["pixels"]).item()) if shift else Still(images)
    rule = optimizer(config, model.parameters())
    batch = config["batch_size"]
    steps = (len(images) + batch - 1) // batch * config["epochs"]
    schedule = scheduler(config, rule, steps)
    cross_entropy = nn.CrossEntropyLoss()
    done, began = 0, time.perf_counter()
    for _ in range(config["epochs"]):
        source.epoch()
        total = torch.zeros(())
        for indices in torch.randperm(len(images)).split(batch):
            rule.zero_grad()
            loss = cross_entropy(model(source.batch(indices)), labels[indices])
            loss.backward()
            rule.step()
            done += 1
            if done < steps:
                schedule.step()
            total += loss.detach() * len(indices)
    mean_loss = total.item() / len(images)
    seconds = time.perf_counter() - began
    with torch.no_grad():
        right = sum(int((model(x).argmax(1) == y).sum())
                    for x, y in zip(test_images.split(1000), test_labels.split(1000), strict=True))
    print(json.dumps({"system": "PyTorch", "version": torch.__version__, "seed": seed, "seconds": seconds,
                      "test_accuracy": right / len(test_labels), "mean_loss": mean_loss}))


if __name__ == "__main__":
    main()
