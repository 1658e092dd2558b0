"""Golden values of every operator, for internal/ops/testdata: inputs, outputs, upstream gradients and gradients.

Inputs are float32; PyTorch computes in float64, and the results are rounded to float32. So the files do not depend on
which float32 kernels PyTorch chooses on a CPU.
"""

import torch
import torch.nn.functional as F

import philox
from golden_file import Golden, backward

INF, NAN = float("inf"), float("nan")


def uniform(generator, *shape):
    return torch.rand(*shape, generator=generator) * 2 - 1


def leaves(*tensors):
    return [t.double().requires_grad_() for t in tensors]


def conv2d(g):
    golden = Golden()
    for name, x_shape, filters, kernel, stride, padding in [
        ("5×5", (2, 1, 9, 9), 3, (5, 5), (1, 1), (0, 0)),
        ("many channels", (3, 4, 8, 8), 6, (5, 5), (1, 1), (0, 0)),
        ("one image", (1, 2, 5, 5), 3, (3, 3), (1, 1), (0, 0)),
        ("one of everything", (1, 1, 1, 1), 1, (1, 1), (1, 1), (0, 0)),
        ("1×1", (2, 3, 4, 5), 4, (1, 1), (1, 1), (0, 0)),
        ("1×1, stride 2", (2, 3, 5, 4), 2, (1, 1), (2, 2), (0, 0)),
        ("kernel = input", (2, 2, 4, 3), 5, (4, 3), (1, 1), (0, 0)),
        ("padding keeps the size", (2, 3, 7, 6), 4, (3, 3), (1, 1), (1, 1)),
        ("odd sizes, stride and padding", (2, 3, 7, 11), 2, (3, 2), (2, 3), (1, 0)),
        ("padding wider than the kernel's half", (1, 2, 3, 4), 2, (2, 2), (1, 1), (2, 2)),
        ("stride over the kernel", (2, 1, 10, 9), 2, (2, 2), (3, 4), (0, 1)),
        ("17 filters", (2, 3, 6, 7), 17, (3, 3), (1, 2), (1, 1)),
    ]:
        x, weight, bias = leaves(
            uniform(g, *x_shape), uniform(g, filters, x_shape[1], *kernel), uniform(g, filters))
        y = F.conv2d(x, weight, bias, stride, padding)
        dy = uniform(g, *y.shape).double()
        dx, dweight, dbias = backward(y, dy, x, weight, bias)
        golden.add(name, {"kernel": kernel, "stride": stride, "padding": padding},
                   x=x, weight=weight, bias=bias, y=y, dy=dy, dx=dx, dweight=dweight, dbias=dbias)
    golden.write("internal/ops/testdata/conv2d.safetensors")


def dense(g):
    golden = Golden()
    for name, batch, inputs, units in [
        ("one of everything", 1, 1, 1), ("one example", 1, 5, 3), ("one input", 4, 1, 3), ("one unit", 4, 6, 1),
        ("odd sizes", 7, 13, 5), ("more units than inputs", 3, 4, 33),
    ]:
        x, weight, bias = leaves(uniform(g, batch, inputs), uniform(g, units, inputs), uniform(g, units))
        y = F.linear(x, weight, bias)
        dy = uniform(g, *y.shape).double()
        dx, dweight, dbias = backward(y, dy, x, weight, bias)
        golden.add(name, {}, x=x, weight=weight, bias=bias, y=y, dy=dy, dx=dx, dweight=dweight, dbias=dbias)
    golden.write("internal/ops/testdata/dense.safetensors")


def relu(g):
    golden = Golden()
    special = torch.tensor([[NAN, INF, -INF, 0.0, -0.0, 1e-45, -1e-45, 3e38]])
    for name, x in [("matrix", uniform(g, 3, 7)), ("feature map", uniform(g, 2, 3, 4, 5)), ("special values", special)]:
        (x,) = leaves(x)
        y = F.relu(x)
        dy = uniform(g, *y.shape).double()
        golden.add(name, {}, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0])
    golden.write("internal/ops/testdata/relu.safetensors")


def windows():
    return [
        ("2×2", (2, 3, 6, 8), (2, 2), (2, 2), (0, 0)),
        ("rows and columns left over", (2, 1, 5, 7), (2, 2), (2, 2), (0, 0)),
        ("overlap", (1, 2, 6, 5), (3, 3), (1, 1), (0, 0)),
        ("overlap and padding", (2, 2, 5, 6), (3, 3), (2, 2), (1, 1)),
        ("oblong", (1, 2, 7, 9), (2, 3), (3, 2), (1, 1)),
        ("kernel = input", (2, 2, 3, 4), (3, 4), (3, 4), (0, 0)),
        ("1×1, stride 2", (1, 1, 5, 4), (1, 1), (2, 2), (0, 0)),
        ("padding on one side", (1, 1, 4, 4), (2, 4), (2, 1), (1, 0)),
    ]


def max_pool2d(g):
    golden = Golden()

    def add(name, x, kernel, stride, padding):
        (x,) = leaves(x)
        y = F.max_pool2d(x, kernel, stride, padding)
        dy = uniform(g, *y.shape).double()
        golden.add(name, {"kernel": kernel, "stride": stride, "padding": padding},
                   x=x, y=y, dy=dy, dx=backward(y, dy, x)[0])

    for name, shape, kernel, stride, padding in windows():
        add(name, uniform(g, *shape), kernel, stride, padding)
    ties = torch.randint(0, 2, (2, 2, 7, 7), generator=g).float()
    add("ties", ties, (3, 3), (2, 2), (1, 1))
    add("all equal", torch.zeros(1, 1, 6, 6), (2, 2), (2, 2), (0, 0))
    add("zeros of both signs", torch.tensor([[[[-0.0, 0.0], [0.0, -0.0]]]]), (2, 2), (2, 2), (0, 0))
    x = uniform(g, 1, 1, 6, 8)
    x[0, 0, :2, :2] = NAN
    x[0, 0, 0, 3], x[0, 0, 1, 4], x[0, 0, 1, 7], x[0, 0, 0, 6] = NAN, NAN, NAN, INF
    x[0, 0, 2:4, :2] = -INF
    x[0, 0, 2, 2], x[0, 0, 3, 5], x[0, 0, 2, 6], x[0, 0, 3, 7] = INF, -INF, INF, INF
    x[0, 0, 4:, 4:] = -INF
    add("NaN and infinities", x, (2, 2), (2, 2), (0, 0))
    add("NaN and infinities, overlap and padding", x.detach(), (3, 3), (1, 2), (1, 1))
    golden.write("internal/ops/testdata/maxpool2d.safetensors")


def avg_pool2d(g):
    golden = Golden()
    for name, shape, kernel, stride, padding in windows():
        (x,) = leaves(uniform(g, *shape))
        y = F.avg_pool2d(x, kernel, stride, padding)
        dy = uniform(g, *y.shape).double()
        golden.add(name, {"kernel": kernel, "stride": stride, "padding": padding},
                   x=x, y=y, dy=dy, dx=backward(y, dy, x)[0])
    golden.write("internal/ops/testdata/avgpool2d.safetensors")


def flatten(g):
    golden = Golden()
    for name, shape in [("feature map", (2, 3, 4, 5)), ("one image", (1, 2, 1, 3)), ("matrix", (3, 4))]:
        (x,) = leaves(uniform(g, *shape))
        y = torch.flatten(x, 1)
        dy = uniform(g, *y.shape).double()
        golden.add(name, {}, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0])
    golden.write("internal/ops/testdata/flatten.safetensors")


def dropout(g):
    """PyTorch multiplies by our mask: which values fall is a matter of the generator."""
    golden = Golden()
    for name, shape, p, seed, layer, step in [
        ("p = 0·5", (3, 5), 0.5, 1, "dropout", 0),
        ("p = 0·2", (2, 7), 0.2, 1, "dropout", 1874),
        ("p = 0·9, another layer", (4, 9), 0.9, 2**63 + 5, "dropout2", 3),
        ("feature map", (2, 3, 3, 5), 0.25, 7, "dropout", 2**32 + 1),
    ]:
        (x,) = leaves(uniform(g, *shape))
        mask = torch.from_numpy(philox.mask(seed, layer, step, p, shape))
        y = x * mask.double()
        dy = uniform(g, *y.shape).double()
        golden.add(name, {"p": p, "seed": seed, "layer": layer, "step": step},
                   x=x, mask=mask, y=y, dy=dy, dx=backward(y, dy, x)[0])
    golden.write("internal/ops/testdata/dropout.safetensors")


def cross_entropy(g):
    golden = Golden()
    huge = torch.tensor([[1e4, -1e4, 0.0], [3e38, -3e38, 1.0], [-1e4, -1e4, -1e4], [88.8, 89.9, 90.1]])
    infinite = torch.tensor([[-INF, 1.0, 2.0], [0.5, -INF, -INF], [1.0, 2.0, 3.0]])
    not_numbers = torch.tensor([[NAN, 1.0, 2.0], [1.0, INF, 2.0], [-INF, -INF, -INF], [1.0, 2.0, 3.0]])
    for name, logits, labels in [
        ("32×10", uniform(g, 32, 10) * 5, torch.randint(0, 10, (32,), generator=g)),
        ("one example", uniform(g, 1, 10), torch.tensor([9])),
        ("one class", uniform(g, 3, 1), torch.zeros(3, dtype=torch.int64)),
        ("huge logits, right", huge, torch.tensor([0, 0, 1, 2])),
        ("huge logits, wrong", huge, torch.tensor([1, 2, 0, 0])),
        ("largest difference", huge[1:2], torch.tensor([1])),
        ("−∞", infinite, torch.tensor([1, 0, 2])),
        ("−∞ at the label", infinite, torch.tensor([0, 0, 2])),
        ("NaN and +∞", not_numbers, torch.tensor([1, 1, 0, 2])),
    ]:
        (x,) = leaves(logits)
        y = F.cross_entropy(x, labels)
        dy = torch.rand((), generator=g).double() + 0.5
        golden.add(name, {}, x=x, labels=labels.int(), y=y, dy=dy, dx=backward(y, dy, x)[0])
    golden.write("internal/ops/testdata/crossentropy.safetensors")


def parameter_penalty(g):
    golden = Golden()
    some_zeros = uniform(g, 4, 3)
    some_zeros[1] = 0
    for name, l1, l2, parameters in [
        ("as in E2", 0.001, 0.001, [uniform(g, 3, 1, 2, 2), uniform(g, 3), uniform(g, 5, 12), uniform(g, 5)]),
        ("L1 alone", 0.5, 0.0, [uniform(g, 3, 4), uniform(g, 4)]),
        ("L2 alone", 0.0, 0.1, [uniform(g, 3, 4), uniform(g, 4)]),
        ("zeros among the values", 0.5, 0.1, [some_zeros]),
        ("a parameter of zeros", 0.5, 0.1, [torch.zeros(2, 3), uniform(g, 3)]),
    ]:
        leaf = leaves(*parameters)
        y = l1 * sum(p.norm(1) for p in leaf) + l2 * sum(p.norm(2) for p in leaf)
        dy = torch.rand((), generator=g).double() + 0.5
        gradients = backward(y, dy, *leaf)
        golden.add(name, {"l1": l1, "l2": l2, "parameters": len(leaf)}, y=y, dy=dy,
                   **{f"p{i}": p for i, p in enumerate(leaf)}, **{f"dp{i}": d for i, d in enumerate(gradients)})
    golden.write("internal/ops/testdata/parameterpenalty.safetensors")


def activation_penalty(g):
    golden = Golden()
    with_zeros = F.relu(uniform(g, 4, 6))
    for name, l1, l2, x in [
        ("both", 0.01, 0.02, uniform(g, 3, 5)), ("L1 alone", 0.5, 0.0, uniform(g, 3, 5)),
        ("L2 alone", 0.0, 0.5, uniform(g, 3, 5)), ("after a rectifier", 0.1, 0.1, with_zeros),
        ("feature map", 0.1, 0.2, uniform(g, 2, 3, 2, 4)),
    ]:
        (x,) = leaves(x)
        y = (l1 * x.abs().sum() + l2 * x.square().sum()) / len(x)
        dy = torch.rand((), generator=g).double() + 0.5
        golden.add(name, {"l1": l1, "l2": l2}, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0])
    golden.write("internal/ops/testdata/activationpenalty.safetensors")


def main():
    for operator in [conv2d, dense, relu, max_pool2d, avg_pool2d, flatten, dropout, cross_entropy,
                     parameter_penalty, activation_penalty]:
        # A seed each, so that a case added to one file leaves the others as they are.
        operator(torch.Generator().manual_seed(sum(operator.__name__.encode())))


if __name__ == "__main__":
    main()
