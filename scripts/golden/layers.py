"""Golden values of every case of every layer, for builder/testdata/layers.safetensors.

The argument is the file that scripts/golden/cases writes. Inputs are float32; PyTorch computes in float64, forward and
back, in training and in evaluation, and the results are rounded to float32. A new layer is one more function below,
called as its kind: it takes a Call and returns the output.
"""

import copy
import json
import sys

import torch
import torch.nn.functional as F

import philox
from golden_file import Golden, backward

BATCH = 3
LAYERS = {}


class Call:
    """One layer in training or evaluation: its settings, and its inputs and tensors in float64."""

    def __init__(self, case, inputs, tensors, training):
        self.settings, self.inputs, self.tensors, self.training = case["settings"], inputs, tensors, training

    @property
    def x(self):
        return self.inputs[0]

    def get(self, setting, otherwise=None):
        return self.settings.get(setting) or otherwise

    def masked(self, *shape):
        """x times the factors that Slipway draws in step 0 of a run with seed 1."""
        if not self.training:
            return self.x.clone()
        mask = philox.mask(1, self.settings["name"], 0, self.settings["p"], shape)
        return self.x * torch.from_numpy(mask).double()

    def size(self, setting, otherwise=(0, 0)):
        size = self.settings.get(setting) or {"height": 0, "width": 0}
        return (size["height"], size["width"]) if any(size.values()) else otherwise


def layer(function):
    LAYERS[function.__name__] = function
    return function


def padded(x, c, value=0.0):
    """x with all of its padding, where one side has more than the other."""
    (height, width), (below, right) = c.size("padding"), c.size("padding_extra")
    return F.pad(x, (width, width + right, height, height + below), value=value)


@layer
def Conv2D(c):
    x, padding = c.x, c.size("padding")
    if any(c.size("padding_extra")):
        x, padding = padded(x, c), (0, 0)
    return F.conv2d(x, c.tensors["weight"], c.tensors.get("bias"), c.size("stride", (1, 1)), padding,
                    c.size("dilation", (1, 1)), c.get("groups", 1))


@layer
def ReLU(c):
    return F.relu(c.x)


@layer
def MaxPool2D(c):
    x, padding = c.x, c.size("padding")
    if any(c.size("padding_extra")):
        x, padding = padded(x, c, -float("inf")), (0, 0)
    return F.max_pool2d(x, c.size("kernel"), c.size("stride"), padding, ceil_mode=c.get("ceil_mode", False))


@layer
def AvgPool2D(c):
    def pool(x, **more):
        return F.avg_pool2d(x, c.size("kernel"), c.size("stride"), ceil_mode=c.get("ceil_mode", False), **more)

    included = not c.get("exclude_padding", False)
    if not any(c.size("padding_extra")):
        return pool(c.x, padding=c.size("padding"), count_include_pad=included)
    mean = pool(padded(c.x, c))
    return mean if included else mean / pool(padded(torch.ones_like(c.x), c))


@layer
def Flatten(c):
    return torch.flatten(c.x, 1)


@layer
def Dense(c):
    x = c.x if c.x.dim() == 2 else c.x.permute(0, 2, 3, 1)
    y = F.linear(x, c.tensors["weight"], c.tensors.get("bias"))
    return y if c.x.dim() == 2 else y.permute(0, 3, 1, 2)


@layer
def Dropout(c):
    return c.masked(*c.x.shape)


@layer
def Dropout2D(c):
    return c.masked(*c.x.shape[:2], 1, 1)


@layer
def DropPath(c):
    return c.masked(c.x.shape[0], *[1] * (c.x.dim() - 1))


@layer
def Add(c):
    return sum(c.inputs[1:], c.x)


@layer
def Mul(c):
    return c.inputs[0] * c.inputs[1]


@layer
def Concat(c):
    return torch.cat(c.inputs, 1)


@layer
def BatchNorm(c):
    statistics = c.training and not c.get("frozen", False)
    return F.batch_norm(c.x, c.tensors["running_mean"], c.tensors["running_var"], c.tensors["weight"], c.tensors["bias"],
                        statistics, c.get("momentum"), c.get("epsilon"))


@layer
def GroupNorm(c):
    return F.group_norm(c.x, c.get("groups"), c.tensors["weight"], c.tensors["bias"], c.get("epsilon"))


@layer
def LayerNorm(c):
    x = c.x.movedim(1, -1)
    return F.layer_norm(x, x.shape[-1:], c.tensors["weight"], c.tensors["bias"], c.get("epsilon")).movedim(-1, 1)


@layer
def Scale(c):
    (scale,) = c.tensors.values()
    return c.x * scale.reshape(-1, *[1] * (c.x.dim() - 2))


@layer
def GlobalAvgPool(c):
    return F.adaptive_avg_pool2d(c.x, 1)


@layer
def GlobalMaxPool(c):
    return F.adaptive_max_pool2d(c.x, 1)


@layer
def AdaptiveAvgPool(c):
    return F.adaptive_avg_pool2d(c.x, c.size("output"))


@layer
def Pad(c):
    sides = [c.get(side, 0) for side in ("left", "right", "top", "bottom")]
    return F.pad(c.x, sides, mode=c.get("mode", "constant"))


@layer
def Identity(c):
    return c.x.clone()


@layer
def LeakyReLU(c):
    return F.leaky_relu(c.x, c.get("slope"))


@layer
def PReLU(c):
    return F.prelu(c.x, c.tensors["weight"])


@layer
def ReLU6(c):
    return F.relu6(c.x)


@layer
def ELU(c):
    return F.elu(c.x, c.get("alpha"))


@layer
def SELU(c):
    return F.selu(c.x)


@layer
def Sigmoid(c):
    return torch.sigmoid(c.x)


@layer
def Tanh(c):
    return torch.tanh(c.x)


@layer
def SiLU(c):
    return F.silu(c.x)


@layer
def HardSigmoid(c):
    return F.hardsigmoid(c.x)


@layer
def HardSwish(c):
    return F.hardswish(c.x)


@layer
def GELU(c):
    return F.gelu(c.x, approximate="tanh" if c.get("tanh", False) else "none")


@layer
def Softplus(c):
    return F.softplus(c.x, threshold=1000)  # as an identity above 20 it is an approximation


# Where an activation has two slopes, PyTorch takes one of them.
KINKS = [-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0]


def values(case, generator):
    """Inputs over the kinks of all activations, of vectors also exactly there, weights, and statistics that are good as variances."""
    inputs = [3 * torch.randn(BATCH, *shape, generator=generator) for shape in case["inputs"]]
    if len(inputs) == 1 and len(case["output"]) == 1 and case["output"] == case["inputs"][0]:
        inputs[0][0, :len(KINKS)] = torch.tensor(KINKS)[:inputs[0].shape[1]]
    tensors = {}
    for tensor in case["tensors"]:
        value = torch.randn(*tensor["shape"], generator=generator)
        tensors[tensor["name"]] = value.abs() + 0.25 if tensor["statistic"] else value
    return inputs, tensors, torch.randn(BATCH, *case["output"], generator=generator)


def compute(case, inputs, tensors, dy, training):
    """Every tensor of one case: what goes in, the output, the gradients, and statistics after the step."""
    statistics = {tensor["name"] for tensor in case["tensors"] if tensor["statistic"]}
    leaves = [x.double().requires_grad_() for x in inputs]
    parameters = {name: t.double().requires_grad_(name not in statistics) for name, t in tensors.items()}
    y = LAYERS[case["kind"]](Call(case, leaves, parameters, training))
    assert list(y.shape[1:]) == case["output"], f"{case['name']}: PyTorch's output is {list(y.shape[1:])}"
    learned = {name: t for name, t in parameters.items() if name not in statistics}
    gradients = backward(y, dy.double(), *leaves, *learned.values())
    return {
        **{f"in{i}": x for i, x in enumerate(inputs)}, **{f"tensor {name}": t for name, t in tensors.items()},
        "y": y, "dy": dy, **{f"d in{i}": d for i, d in enumerate(gradients)},
        **{f"d tensor {name}": d for name, d in zip(learned, gradients[len(leaves):])},
        **{f"after {name}": parameters[name].detach() for name in statistics},
    }


def main(path):
    golden = Golden()
    for case in json.load(open(path)):
        if case["kind"] not in LAYERS:
            sys.exit(f"{case['kind']}: write a function {case['kind']} in scripts/golden/layers.py")
        # A seed each, so that a new case leaves the others as they are.
        inputs, tensors, dy = values(case, torch.Generator().manual_seed(sum(case["name"].encode())))
        modes = [True, False]
        results = [compute(case, copy.deepcopy(inputs), copy.deepcopy(tensors), dy, training) for training in modes]
        if all(torch.equal(results[0][key], results[1][key]) for key in results[0]):
            golden.add(case["name"], {"modes": ["training", "evaluation"]}, **results[0])
            continue
        for training, result in zip(modes, results):
            mode = "training" if training else "evaluation"
            golden.add(f"{case['name']}, {mode}", {"modes": [mode]}, **result)
    golden.write("builder/testdata/layers.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
