"""Golden values of E1 and E2, for train/testdata: the losses of the first ten steps and every gradient of the first.

Reads the initial weights and the batches that `go run ./scripts/golden/inputs` wrote into the folder given. The
same is computed in float64, to print how far float32 itself is from it.
"""

import hashlib
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import philox
from golden_file import Golden

SEED, BATCH, PENALTY = 1, 32, 0.001
PARAMETERS = [f"{layer}.{role}" for layer in ["conv1", "conv2", "fc1", "fc2"] for role in ["weight", "bias"]]


def logits(p, x, mask):
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"])), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv2.weight"], p["conv2.bias"])), 2)
    x = F.relu(F.linear(x.flatten(1), p["fc1.weight"], p["fc1.bias"]))
    if mask is not None:
        x = x * mask
    return F.linear(x, p["fc2.weight"], p["fc2.bias"])


def train(weights, batches, experiment, dtype):
    """Returns the losses with and without penalties of each step, and the gradients of the first."""
    parameters = {name: weights[name].clone().to(dtype).requires_grad_() for name in PARAMETERS}
    optimizer = torch.optim.Adam(parameters.values(), lr=1e-3, foreach=False)
    losses, data_losses, first = [], [], None
    images, labels = batches["images"].to(dtype), batches["labels"].long()
    for step in range(len(images) // BATCH):
        part = slice(step * BATCH, (step + 1) * BATCH)
        mask = None
        if experiment == "e2":
            mask = torch.from_numpy(philox.mask(SEED, "dropout", step, 0.5, (BATCH, 128))).to(dtype)
        data = loss = F.cross_entropy(logits(parameters, images[part], mask), labels[part])
        if experiment == "e2":
            loss = data + sum(PENALTY * p.norm(1) + PENALTY * p.norm(2) for p in parameters.values())
        optimizer.zero_grad()
        loss.backward()
        if first is None:
            first = {name: p.grad.detach().clone() for name, p in parameters.items()}
        optimizer.step()
        losses.append(loss.item())
        data_losses.append(data.item())
    return losses, data_losses, first


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: experiments.py FOLDER, with what scripts/golden/inputs wrote; scripts/golden/make-golden runs both")
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    batches = load_file(folder / "batches.safetensors")
    for experiment in ["e1", "e2"]:
        weights = load_file(folder / f"{experiment}-weights.safetensors")
        losses, data_losses, gradients = train(weights, batches, experiment, torch.float32)
        exact_losses, _, exact = train(weights, batches, experiment, torch.float64)
        for name, gradient in gradients.items():
            error = (gradient.double() - exact[name]).abs().max() / exact[name].abs().max()
            print(f"{experiment} {name}: float32 differs from float64 by {error:.1e} of the largest gradient")
        worst = max(abs(a - b) for a, b in zip(losses, exact_losses))
        print(f"{experiment} losses {[round(x, 4) for x in losses]}, float32 differs from float64 by {worst:.1e}")
        digest = hashlib.sha256()
        for name in PARAMETERS:
            digest.update(weights[name].numpy().tobytes())
        digest.update(batches["images"].numpy().tobytes() + batches["labels"].numpy().tobytes())
        golden = Golden()
        golden.add(experiment, {}, losses=torch.tensor(losses), cross_entropies=torch.tensor(data_losses), **gradients)
        golden.write(f"train/testdata/{experiment}.safetensors", seed=SEED, inputs_sha256=digest.hexdigest())


if __name__ == "__main__":
    main()
