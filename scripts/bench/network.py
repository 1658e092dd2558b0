"""A network of Slipway's JSON, a graph of layers, as the peers read it: each layer's place, with its inputs and shapes. A layer, or
a field of one, that the peers do not compute is an error that names it."""

import collections
import math

# name and kind of a layer, its fields, the names of the values that it takes, and the shapes of one example: C×H×W, or features.
Place = collections.namedtuple("Place", "name kind layer inputs shape output")

# The fields of each kind's layers, beside the name.
FIELDS = {
    "Conv2D": {"filters", "kernel", "stride", "padding", "padding_extra", "groups", "no_bias", "init"},
    "BatchNorm": {"momentum", "epsilon", "init"},
    "MaxPool2D": {"kernel", "stride", "padding"},
    "AvgPool2D": {"kernel", "stride", "padding"},
    "GlobalAvgPool": set(),
    "ReLU": set(),
    "ReLU6": set(),
    "Sigmoid": set(),
    "Dropout": {"p"},
    "Flatten": set(),
    "Dense": {"units", "no_bias", "init"},
    "Add": set(),
    "Mul": set(),
}

INPUT = "input"


def pair(size):
    return size["height"], size["width"]


def padding(layer):
    """How much is added above and below, and how much left and right: two pairs."""
    extra = layer.get("padding_extra") or {"height": 0, "width": 0}
    return [(before, before + more) for before, more in zip(pair(layer["padding"]), pair(extra))]


def places(network):
    """The layers in their order. A layer's value has its name; the network's input is INPUT."""
    found, shapes, before = [], {INPUT: tuple(network["input"])}, INPUT
    for entry in network["layers"]:
        kind, layer = entry["kind"], entry.get("layer", {})
        if kind not in FIELDS:
            raise ValueError(f"layer {layer.get('name')}: {kind} is not known here")
        if unknown := {name for name, value in layer.items() if value} - FIELDS[kind] - {"name"}:
            raise ValueError(f"layer {layer['name']}: {kind} with {', '.join(sorted(unknown))} is not known here")
        name, inputs = layer["name"], entry.get("inputs") or [before]
        taken = [shapes[one] for one in inputs]
        shapes[name] = output(kind, layer, taken)
        found.append(Place(name, kind, layer, inputs, taken[0], shapes[name]))
        before = name
    return found


def output(kind, layer, inputs):
    shape = inputs[0]
    if kind in ("Conv2D", "MaxPool2D", "AvgPool2D"):
        size = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(
            shape[1:], padding(layer), pair(layer["kernel"]), pair(layer["stride"]))]
        return (layer.get("filters", shape[0]), *size)
    if kind == "GlobalAvgPool":
        return (shape[0], 1, 1)
    if kind == "Flatten":
        return (math.prod(shape),)
    if kind == "Dense":
        return (layer["units"],)
    if kind == "Mul":  # a number for each channel, or one for each value
        return tuple(map(max, *inputs))
    return shape


def is_tiling(place):
    """Whether a pooling's windows lie side by side and leave nothing of the map over."""
    kernel = pair(place.layer["kernel"])
    return kernel == pair(place.layer["stride"]) and pair(place.layer["padding"]) == (0, 0) and not any(
        n % k for n, k in zip(place.shape[1:], kernel))


def last_uses(places):
    """For each place, the values that no later one takes: they need not be kept."""
    seen, last = {places[-1].name}, []
    for place in reversed(places):
        last.append([name for name in dict.fromkeys(place.inputs) if name not in seen])
        seen.update(place.inputs)
    return last[::-1]


def multiply_adds(places):
    """How many multiplications with an addition a training step has, of one image: each convolution and dense layer multiplies out
    its values, the gradients of its weights and, but for the first, those of its input."""
    total = 0
    for place in places:
        if place.kind == "Conv2D":
            forward = math.prod(place.output) * place.shape[0] // place.layer.get("groups", 1) * math.prod(pair(place.layer["kernel"]))
        elif place.kind == "Dense":
            forward = math.prod(place.shape) * place.layer["units"]
        else:
            continue
        total += forward * (2 if INPUT in place.inputs else 3)
    return total


# How often a training step goes over a convolution's map where each layer reads and writes by itself: it is written, read and
# written normalised, and read by the next layer; its gradient is written, read with the map for the sums of batch normalisation,
# read with the map again and written, read with the input for the gradient of the weights, and read for that of the input.
PASSES = 13


def passed_bytes(places):
    """How many bytes those passes are, of one image in float32."""
    return PASSES * 4 * sum(math.prod(place.output) for place in places if place.kind == "Conv2D")
