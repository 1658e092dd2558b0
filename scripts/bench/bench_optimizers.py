"""Trains ResNet-20 on a tenth of CIFAR-10's pictures with the optimizers that Slipway has and with Lion and Muon, in PyTorch, and
writes docs/bench/optimizers.md and optimizers.json: whether one that Slipway lacks would raise the accuracy.

--data is a folder with train/ and test/ of a folder for each class. Each optimizer gets the same pictures, epochs, schedule and
augmentation, and its best learning rate of four, by the accuracy on a tenth of the training pictures that are held out. The test set
is asked once a seed, with that rate. Lion is Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023); Muon is Jordan
et al., "Muon: An optimizer for hidden layers in neural networks" (2024): convolutions by it, all else by AdamW. No time is told.
Each run's result is a file in .cache/bench/optimizers/: results that are there are not made again unless --fresh is given.
"""

import argparse
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys

import torch
from torch import nn

import machine
from bench_pictures import given
from bench_resnet20 import MEAN, STD, network
from torch_cifar import augmented, load
from torch_graph import Graph

SEEDS, SHARE, BATCH, CROP = [0, 1, 2], 10, 128, 4
# The learning rates that are tried, and the weight decay: coupled for SGD, decoupled for the others, in proportion to the rate.
RATES = {"SGD, Nesterov": [0.05, 0.1, 0.2, 0.4], "AdamW": [1e-3, 2e-3, 4e-3, 8e-3], "Lion": [1e-4, 3e-4, 6e-4, 1.2e-3],
         "Muon": [0.005, 0.01, 0.02, 0.04]}
DECAY = {"SGD, Nesterov": 5e-4, "AdamW": 0.05, "Lion": 0.15, "Muon": 0.05}


class Lion(torch.optim.Optimizer):
    """θ ← θ − η·(sign(β₁·m + (1−β₁)·g) + λ·θ); m ← β₂·m + (1−β₂)·g."""

    def __init__(self, groups, lr):
        super().__init__(groups, {"lr": lr, "weight_decay": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(torch.sign(m.mul(0.9).add_(p.grad, alpha=0.1)), alpha=group["lr"])
                m.mul_(0.99).add_(p.grad, alpha=0.01)


class Muon(torch.optim.Optimizer):
    """θ ← θ − η·(√max(1, rows/columns)·orthogonal(g + μ·m) + λ·θ), of a filter as a row; m ← μ·m + g, μ = 0.95."""

    def __init__(self, groups, lr):
        super().__init__(groups, {"lr": lr, "weight_decay": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.mul_(0.95).add_(p.grad)
                update = orthogonal((p.grad + 0.95 * m).flatten(1))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(update.view_as(p), alpha=group["lr"] * math.sqrt(max(1, update.shape[0] / update.shape[1])))


def orthogonal(x):
    """Nearly U·Vᵀ of x = U·S·Vᵀ, by five steps of Jordan's quintic iteration after Newton and Schulz."""
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if turned else x


def optimizers(name, model, rate):
    """The optimizers of a run; weights of batch normalisation and biases do not decay."""
    convolutions = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
    dense = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
    rest = [p for p in model.parameters() if not any(p is other for other in convolutions + dense)]
    decayed = {"params": convolutions + dense, "weight_decay": DECAY[name]}
    plain = {"params": rest, "weight_decay": 0}
    if name == "SGD, Nesterov":
        return [torch.optim.SGD([decayed, plain], lr=rate, momentum=0.9, nesterov=True, fused=True)]
    if name == "AdamW":
        return [torch.optim.AdamW([decayed, plain], lr=rate, fused=True)]
    if name == "Lion":
        return [Lion([decayed, plain], rate)]
    others = [{"params": dense, "weight_decay": DECAY["AdamW"]}, plain]
    return [Muon([decayed | {"params": convolutions}], rate), torch.optim.AdamW(others, lr=2e-3, fused=True)]


def train(options, name, rate, seed, sets):
    """Trains once, and returns the accuracy on what is asked of."""
    (pixels, labels), (asked, answers) = sets
    torch.manual_seed(seed)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (MEAN, STD))
    model = Graph(network()).to(memory_format=torch.channels_last)
    steps = options.epochs * math.ceil(len(labels) / BATCH)
    used = optimizers(name, model, rate)
    # Up to the rate in a tenth of the steps, then down to 0 by a cosine.
    factor = lambda step: min((step + 1) / (steps / 10), 0.5 + 0.5 * math.cos(math.pi * step / steps))  # noqa: E731
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, factor) for one in used]
    fed = lambda x: ((x.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)  # noqa: E731
    for _ in range(options.epochs):
        model.train()
        for some in torch.randperm(len(labels)).split(BATCH):
            model.zero_grad()
            loss = nn.functional.cross_entropy(model(fed(augmented(pixels[some], CROP))), labels[some])
            loss.backward()
            for one in used + schedules:
                one.step()
    model.eval()
    with torch.no_grad():
        right = sum(int((model(fed(x)).argmax(1) == y).sum()) for x, y in zip(asked.split(250), answers.split(250)))
    return 100 * right / len(answers)


def split(options):
    """A tenth of the training pictures of each class, and of these a tenth held out; and the test set."""
    pixels, labels, _ = load(options.data / "train")
    draw, kept, held = random.Random(0), [], []
    for label in labels.unique().tolist():
        places = (labels == label).nonzero()[:, 0].tolist()
        some = draw.sample(places, len(places) // SHARE)
        held += some[: len(some) // 10]
        kept += some[len(some) // 10:]
    test = load(options.data / "test")[:2]
    part = lambda places: (pixels[places], labels[places])  # noqa: E731
    return part(kept), part(held), part(kept + held), test


def arguments():
    parser = argparse.ArgumentParser(prog="bench-optimizers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with train/ and test/; without it nothing is trained")
    parser.add_argument("--epochs", type=int, default=15, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=len(machine.all_cpus()), help="(%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="remove earlier results")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 1 epoch; writes to .cache/bench/quick-optimizers/")
    options = parser.parse_args()
    if options.quick:
        options.epochs = 1
    if options.epochs < 1 or options.threads < 1:
        parser.error("--epochs and --threads must be at least 1")
    return options


def markdown(options, rows):
    lines = ["# Optimizers: what Lion and Muon would gain", "<!-- made by scripts/bench/bench-optimizers; not by hand -->",
             f"- `make bench-optimizers PICTURES={options.data.name}`\n- PyTorch {torch.__version__}; CPU: {machine.cpu()[0]}",
             f"ResNet-20 on a tenth of CIFAR-10's training pictures, 5,000, flipped and cropped with a padding of {CROP} anew in each epoch; "
             f"batches of {BATCH}, {options.epochs} epochs, a rate that rises in the first tenth of the steps and falls to 0 by a cosine. The "
             "learning rate is the best of four on 500 of the pictures that are held out; then the network is trained on all 5,000 "
             "from three seeds. Slipway has SGD and AdamW. Test accuracy in per cent of 10,000 pictures; higher is better.",
             "\n".join(["| optimizer | rates tried (held-out accuracy) | rate | " + " | ".join(f"seed {seed}" for seed in SEEDS) + " | mean | standard deviation |",
                        "| --- | --- | ---: |" + " ---: |" * (len(SEEDS) + 2)] + [
                 f"| {row['optimizer']} | {', '.join(f'{rate:g} ({accuracy:.1f})' for rate, accuracy in row['tried'])} | {row['rate']:g} | "
                 + " | ".join(f"{value:.2f}" for value in row["test"]) + f" | **{statistics.mean(row['test']):.2f}** | {statistics.stdev(row['test']):.2f} |"
                 for row in rows])]
    return "\n\n".join(lines) + "\n"


def main():
    options = arguments()
    if not given(options, "bench-optimizers"):
        return
    machine.take_children_along()
    machine.build_slipway()
    torch.set_num_threads(options.threads)
    folder = machine.CACHE / ("quick-optimizers" if options.quick else "optimizers")
    folder.mkdir(parents=True, exist_ok=True)
    kept, held, whole, test = split(options)

    def accuracy(name, rate, seed, what, sets):
        path = folder / f"{name.replace(', ', '-')}-{rate:g}-epochs{options.epochs}-{what}{seed}.json"
        if options.fresh or options.quick or not path.exists():
            path.write_text(json.dumps(train(options, name, rate, seed, sets)))
        value = json.loads(path.read_text())
        print(f"bench-optimizers: {name}, rate {rate:g}, {what}, seed {seed}: {value:.2f} %", file=sys.stderr, flush=True)
        return value

    rows = []
    for name, rates in RATES.items():
        tried = [(rate, accuracy(name, rate, 0, "held-out", (kept, held))) for rate in rates]
        rate = max(tried, key=lambda pair: pair[1])[0]
        rows.append({"optimizer": name, "tried": tried, "rate": rate, "test": [accuracy(name, rate, seed, "test", (whole, test)) for seed in SEEDS]})
    target = (folder if options.quick else machine.DOCS) / "optimizers"
    target.with_suffix(".md").write_text(markdown(options, rows))
    target.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    print(f"bench-optimizers: written: {target}.md, {target}.json", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench-optimizers: {error}")
