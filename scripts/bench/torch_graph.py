"""A network of Slipway's JSON as a PyTorch module whose tensors have the same names."""

import torch
from torch import nn

from network import INPUT, last_uses, padding, pair, places

# What these give is not needed for their own gradient, so that an activation behind them may write over it, as in torchvision.
OVERWRITTEN = {"Conv2D", "BatchNorm", "Dense", "Add"}


class Padded(nn.Conv2d):
    """A convolution whose map is padded before it, more on one side than on the other: Conv2d has one number for both."""

    def __init__(self, channels, filters, kernel, stride, around, **more):
        super().__init__(channels, filters, kernel, stride, **more)
        (top, bottom), (left, right) = around
        self.around = (left, right, top, bottom)

    def forward(self, x):
        return super().forward(nn.functional.pad(x, self.around))


def made(place, inplace):
    """The module of a layer; inplace: it may write over what it takes."""
    kind, layer, shape = place.kind, place.layer, place.shape
    if kind == "Conv2D":
        (top, bottom), (left, right) = padding(layer)
        conv = nn.Conv2d if top == bottom and left == right else Padded
        around = (top, left) if conv is nn.Conv2d else ((top, bottom), (left, right))
        return drawn(conv(shape[0], layer["filters"], pair(layer["kernel"]), pair(layer["stride"]), around,
                          groups=layer.get("groups", 1), bias=not layer.get("no_bias", False)), layer.get("init"))
    if kind == "BatchNorm":
        norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return drawn(norm(shape[0], eps=layer.get("epsilon", 1e-5), momentum=layer.get("momentum", 0.1)), layer.get("init"))
    if kind == "Dense":
        return drawn(nn.Linear(shape[0], layer["units"], bias=not layer.get("no_bias", False)), layer.get("init"))
    if kind in ("MaxPool2D", "AvgPool2D"):
        pool = nn.MaxPool2d if kind == "MaxPool2D" else nn.AvgPool2d
        return pool(pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"]))
    if kind == "GlobalAvgPool":
        return nn.AdaptiveAvgPool2d(1)
    if kind == "Dropout":
        return nn.Dropout(layer.get("p", 0.0))
    if kind in ("ReLU", "ReLU6"):
        return (nn.ReLU if kind == "ReLU" else nn.ReLU6)(inplace=inplace)
    if kind in ("Sigmoid", "Flatten"):
        return nn.Sigmoid() if kind == "Sigmoid" else nn.Flatten()
    raise ValueError(f"layer {place.name}: {kind} is not known here")


def drawn(module, init):
    """Draws the weight as Slipway's Init says; PyTorch's default is the same rule as none."""
    if not init:
        return module
    rule, _, value = init.partition("=")
    with torch.no_grad():
        if rule == "kaiming_normal":
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif rule == "normal":
            nn.init.normal_(module.weight, std=float(value))
        elif rule == "uniform":
            nn.init.uniform_(module.weight, -float(value), float(value))
        elif rule in ("zeros", "ones"):
            nn.init.constant_(module.weight, float(rule == "ones"))
        else:
            raise ValueError(f"init {init} is not known here")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return module


class Graph(nn.Module):
    """Dots in a layer's name are modules within modules, as PyTorch writes them in a state dict."""

    def __init__(self, network):
        super().__init__()
        found = places(network)
        kinds = {place.name: place.kind for place in found}
        self.steps, self.last = [], found[-1].name
        for place, last in zip(found, last_uses(found)):
            step = None
            if place.kind not in ("Add", "Mul"):
                step = made(place, inplace=place.inputs[0] in last and kinds.get(place.inputs[0]) in OVERWRITTEN)
                self.put(place.name, step)
            self.steps.append((place.name, place.kind, step, place.inputs, last))

    def put(self, name, module):
        *scopes, last = name.split(".")
        parent = self
        for scope in scopes:
            if scope not in parent._modules:
                parent.add_module(scope, nn.Module())
            parent = parent._modules[scope]
        parent.add_module(last, module)

    def load(self, weights):
        """Takes Slipway's weights: all but the count of batches, which it does not keep."""
        wrong = self.load_state_dict(weights, strict=False)
        missing = [name for name in wrong.missing_keys if not name.endswith(".num_batches_tracked")]
        if missing or wrong.unexpected_keys:
            raise ValueError(f"weights: missing {missing}, unexpected {wrong.unexpected_keys}")

    def forward(self, x):
        values = {INPUT: x}
        del x  # what nobody takes any more is freed, as in a module written by hand
        for name, kind, step, inputs, last in self.steps:
            taken = [values[i] for i in inputs]
            for one in last:
                del values[one]
            if step is not None:
                values[name] = step(taken.pop())
            else:
                value = taken[0]
                for one in taken[1:]:
                    value = value + one if kind == "Add" else value * one
                values[name] = value
                del value
        return values[self.last]
