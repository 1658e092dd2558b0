"""A network of Slipway's JSON, a graph of layers, as a PyTorch module whose tensors have the same names. The layers are those of
the ResNets; another one is an error that names it."""

import torch
from torch import nn


def pair(size):
    return (size["height"], size["width"])


def made(kind, layer, channels):
    """The module of a layer, and its number of output channels."""
    if kind == "Conv2D":
        convolution = nn.Conv2d(channels, layer["filters"], pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"]),
                                bias=not layer.get("no_bias", False))
        if layer.get("init") == "kaiming_normal":
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        elif layer.get("init"):
            raise ValueError(f"init {layer['init']} is not known here")
        return convolution, layer["filters"]
    if kind == "BatchNorm":
        return nn.BatchNorm2d(channels, eps=layer.get("epsilon", 1e-5), momentum=layer.get("momentum", 0.1)), channels
    if kind == "Dense":
        return nn.Linear(channels, layer["units"]), layer["units"]
    if kind == "MaxPool2D":
        return nn.MaxPool2d(pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"])), channels
    if kind == "GlobalAvgPool":
        return nn.AdaptiveAvgPool2d(1), channels
    if kind in ("ReLU", "Flatten"):
        return (nn.ReLU() if kind == "ReLU" else nn.Flatten()), channels
    raise ValueError(f"layer {kind} is not known here")


class Graph(nn.Module):
    """Dots in a layer's name are modules within modules, as PyTorch writes them in a state dict."""

    def __init__(self, network):
        super().__init__()
        self.steps, channels, before = [], {"input": network["input"][0]}, "input"
        for entry in network["layers"]:
            name, kind = entry["layer"]["name"], entry["kind"]
            inputs = entry.get("inputs") or [before]
            channels[name] = channels[inputs[0]]
            if kind != "Add":
                module, channels[name] = made(kind, entry["layer"], channels[inputs[0]])
                self.put(name, module)
            self.steps.append((name, kind, inputs))
            before = name

    def put(self, name, module):
        *scopes, last = name.split(".")
        parent = self
        for scope in scopes:
            if scope not in parent._modules:
                parent.add_module(scope, nn.Module())
            parent = parent._modules[scope]
        parent.add_module(last, module)

    def forward(self, x):
        values = {"input": x}
        for name, kind, inputs in self.steps:
            taken = [values[i] for i in inputs]
            x = values[name] = sum(taken[1:], taken[0]) if kind == "Add" else self.get_submodule(name)(taken[0])
        return x
