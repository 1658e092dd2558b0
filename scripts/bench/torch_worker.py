"""PyTorch's worker: torch_worker.py INPUTS BATCH THREADS CONFIG. See peer_worker.py."""

import contextlib
import shutil
import sys

import torch
from torch import nn

from peer_worker import READY, FedOrder, Inputs, serve, unavailable
from torch_graph import Graph

# What a configuration may add to plain eager PyTorch, as its name says; a fused optimizer with the optimizer's name. float64 is
# the reference that all sides are checked against.
WORDS = {"float64", "eager", "compile", "channels_last", "fused", "bf16"}

# Scripts that train by another recipe build their network by this.
build = Graph


def words(config):
    """The first word of each part of the name."""
    found = {part.split()[0] for part in config.split(", ")}
    if unknown := found - WORDS:
        raise ValueError(f"configuration {config!r}: {', '.join(unknown)} is not known here")
    return found


def optimizer(config, parameters, fused):
    """Slipway's configuration of an optimizer, its defaults filled in, as PyTorch's."""
    name, rate, decay = config["name"], config["learning_rate"], config.get("weight_decay", 0)
    if name == "adam":
        return torch.optim.Adam(parameters, lr=rate, betas=(config["beta1"], config["beta2"]), eps=config["epsilon"],
                                weight_decay=decay, fused=fused)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=config.get("momentum", 0), weight_decay=decay,
                               nesterov=config.get("nesterov", False), fused=fused)
    raise ValueError(f"optimizer {name} is not known here")


class Side:
    def __init__(self, inputs, batch, config):
        options = words(config)
        self.dtype = torch.float64 if config == "float64" else torch.float32
        self.format = torch.channels_last if "channels_last" in options else torch.contiguous_format
        model = build(inputs.network).to(self.dtype)
        model.load({name: torch.from_numpy(value).to(self.dtype) for name, value in inputs.weights.items()})
        model = model.to(memory_format=self.format)
        self.parameters = list(model.parameters())
        self.optimizer = optimizer(inputs.optimizer, self.parameters, True if "fused" in options else None)
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
    if "compile" in words(config) and not (shutil.which("g++") or shutil.which("clang++")):
        unavailable("torch.compile needs a C++ compiler, and neither g++ nor clang++ is here")
    loaded = Inputs(inputs)
    side = Side(loaded, batch, config)
    if "compile" in words(config):
        try:
            side.loss(*side.ready[0]).backward()
        except Exception as error:  # whatever stops the compiler, the other configurations go on
            unavailable(f"torch.compile: {type(error).__name__}: {error}")
    serve(side, f"PyTorch {torch.__version__}", len(loaded.labels), batch)


if __name__ == "__main__":
    main()
