"""PyTorch's side of the benchmarks builds what Slipway's JSON says: torch_graph_test.py NETWORKS, a file with a JSON list of
{"network": …, "tensors": {name: shape}}."""

import json
import sys
import unittest

import torch
from torch.nn import functional

from torch_graph import Graph

PATH = sys.argv.pop(1)


def conv(name, filters, kernel, stride=1, **more):
    def size(n):
        return {"height": n, "width": n}
    return {"kind": "Conv2D", "layer": {"name": name, "filters": filters, "kernel": size(kernel), "stride": size(stride),
                                        "padding": size(kernel // 2)} | more}


# An inverted residual block, squeezed: what it gives is summed with its input, which nothing may write over.
BLOCK = {"input": [4, 6, 6], "layers": [
    conv("stem", 4, 3, no_bias=True),
    {"kind": "BatchNorm", "layer": {"name": "bn0"}},
    {"kind": "ReLU6", "layer": {"name": "act0"}},
    conv("block.wide", 8, 1),
    {"kind": "ReLU", "layer": {"name": "block.act"}},
    conv("block.depth", 8, 3, groups=8),
    {"kind": "GlobalAvgPool", "layer": {"name": "block.pool"}},
    {"kind": "Sigmoid", "layer": {"name": "block.gate"}},
    {"kind": "Mul", "layer": {"name": "block.mul"}, "inputs": ["block.depth", "block.gate"]},
    conv("block.narrow", 4, 1, no_bias=True),
    {"kind": "Add", "layer": {"name": "block.sum"}, "inputs": ["block.narrow", "act0"]},
    {"kind": "ReLU", "layer": {"name": "block.relu"}},
    {"kind": "Flatten", "layer": {"name": "flat"}},
    {"kind": "Dropout", "layer": {"name": "drop", "p": 0}},
    {"kind": "Dense", "layer": {"name": "fc", "units": 3, "init": "normal=0.01"}},
]}

# A convolution as TensorFlow's "same" pads it, a row and a column more behind the map than before it.
SAME = {"input": [2, 6, 5], "layers": [
    conv("stem", 3, 3, 2, padding={"height": 0, "width": 1}, padding_extra={"height": 1, "width": 0})]}


class Built(unittest.TestCase):
    def test_tensors_of_all_networks(self):
        with open(PATH) as file:
            entries = json.load(file)
        self.assertTrue(entries)
        for entry in entries:
            with self.subTest(entry["network"]["name"]), torch.device("meta"):
                state = Graph(entry["network"]).state_dict()
                shapes = {name: list(value.shape) for name, value in state.items() if not name.endswith("num_batches_tracked")}
                self.assertEqual(shapes, entry["tensors"])

    def test_more_padding_behind(self):
        torch.manual_seed(2)
        model, x = Graph(SAME), torch.randn(2, 2, 6, 5)
        w = dict(model.named_parameters())
        want = functional.conv2d(functional.pad(x, (1, 1, 0, 1)), w["stem.weight"], w["stem.bias"], stride=2)
        self.assertEqual(want.shape, (2, 3, 3, 3))
        torch.testing.assert_close(model(x), want)

    def test_values_and_gradients(self):
        torch.manual_seed(1)
        model = Graph(BLOCK).double()
        w = dict(model.named_parameters())
        x = 3 * torch.randn(5, 4, 6, 6, dtype=torch.float64)
        y = functional.conv2d(x, w["stem.weight"], padding=1)
        y = functional.batch_norm(y, None, None, w["bn0.weight"], w["bn0.bias"], training=True)
        short = y.clamp(0, 6)
        y = functional.conv2d(short, w["block.wide.weight"], w["block.wide.bias"]).relu()
        y = functional.conv2d(y, w["block.depth.weight"], w["block.depth.bias"], padding=1, groups=8)
        y = functional.conv2d(y * y.mean((2, 3), keepdim=True).sigmoid(), w["block.narrow.weight"])
        want = functional.linear((y + short).relu().flatten(1), w["fc.weight"], w["fc.bias"])
        got = model(x)
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
        gradients = [torch.autograd.grad(z.square().sum(), list(w.values())) for z in (got, want)]
        for name, one, other in zip(w, *gradients):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}")

    def test_weights_that_lack_are_named(self):
        model = Graph(BLOCK)
        state = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
        model.load(state)
        del state["bn0.running_var"]
        with self.assertRaisesRegex(ValueError, "missing .'bn0.running_var'"):
            model.load(state)


if __name__ == "__main__":
    unittest.main()
