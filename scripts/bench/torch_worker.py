"""PyTorch's worker: torch_worker.py INPUTS BATCH THREADS CONFIG. See peer_worker.py."""

import collections
import contextlib
import shutil
import sys

import torch
from torch import nn

from peer_worker import READY, FedOrder, Inputs, pair, serve, unavailable

# What each configuration adds to plain eager PyTorch. float64 is the reference that all sides are checked against.
CONFIGS = {
    "float64": set(),
    "eager": set(),
    "eager, channels_last": {"channels_last"},
    "eager, fused Adam": {"fused"},
    "eager, channels_last, fused Adam": {"channels_last", "fused"},
    "compile, fused Adam": {"compile", "fused"},
    "compile, channels_last, fused Adam": {"compile", "channels_last", "fused"},
    "bf16 autocast, channels_last, fused Adam": {"bf16", "channels_last", "fused"},
}


def build(network):
    """The network from Slipway's JSON; the names are those of its weights."""
    layers, shape = {}, network["input"]
    for entry in network["layers"]:
        layer, kind = entry["layer"], entry["kind"]
        if kind == "Conv2D":
            made = nn.Conv2d(shape[0], layer["filters"], pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"]))
        elif kind in ("MaxPool2D", "AvgPool2D"):
            pool = nn.MaxPool2d if kind == "MaxPool2D" else nn.AvgPool2d
            made = pool(pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"]))
        elif kind == "ReLU":
            made = nn.ReLU()
        elif kind == "Flatten":
            made = nn.Flatten()
        elif kind == "Dense":
            made = nn.Linear(shape[0], layer["units"])
        else:
            raise ValueError(f"layer {kind} is not known here")
        layers[layer["name"]] = made
        shape = made(torch.zeros(1, *shape)).shape[1:]
    return nn.Sequential(collections.OrderedDict(layers))


class Side:
    def __init__(self, inputs, batch, config):
        options = CONFIGS[config]
        self.dtype = torch.float64 if config == "float64" else torch.float32
        self.format = torch.channels_last if "channels_last" in options else torch.contiguous_format
        model = build(inputs.network).to(self.dtype)
        model.load_state_dict({name: torch.from_numpy(value).to(self.dtype) for name, value in inputs.weights.items()})
        model = model.to(memory_format=self.format)
        self.parameters = list(model.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, fused=True if "fused" in options else None)
        cross_entropy = nn.CrossEntropyLoss()

        def forward(x, y):
            return cross_entropy(model(x), y)

        self.loss = torch.compile(forward) if "compile" in options else forward
        self.autocast = torch.autocast("cpu", dtype=torch.bfloat16) if "bf16" in options else contextlib.nullcontext()

        self.images, self.labels = torch.from_numpy(inputs.images), torch.from_numpy(inputs.labels)
        self.ready = [self.batch(torch.from_numpy(indices)) for indices in inputs.first_batches(batch, READY)]
        self.order = FedOrder(len(self.labels), batch, torch.randperm)

    def batch(self, indices):
        images = self.images[indices].to(self.dtype)
        if self.format == torch.channels_last:
            images = images.to(memory_format=self.format)
        return images, self.labels[indices]

    def train(self, x, y):
        self.optimizer.zero_grad()
        with self.autocast:
            loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss

    def step(self, k):
        return self.train(*self.ready[k % READY])

    def fed_step(self):
        return self.train(*self.batch(self.order.next()))

    def shuffle(self):
        torch.randperm(len(self.labels))

    def wait(self, loss):
        loss.item()

    def number(self, loss):
        return loss.item()


def main():
    inputs, batch, threads, config = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    if "compile" in CONFIGS[config] and not (shutil.which("g++") or shutil.which("clang++")):
        unavailable("torch.compile needs a C++ compiler, and neither g++ nor clang++ is here")
    loaded = Inputs(inputs)
    side = Side(loaded, batch, config)
    if "compile" in CONFIGS[config]:
        try:
            side.loss(*side.ready[0]).backward()
        except Exception as error:  # whatever stops the compiler, the other configurations go on
            unavailable(f"torch.compile: {type(error).__name__}: {error}")
    serve(side, f"PyTorch {torch.__version__}", len(loaded.labels), batch)


if __name__ == "__main__":
    main()
