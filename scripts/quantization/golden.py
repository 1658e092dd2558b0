"""golden.py FOLDER: see make-golden."""

import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import tool


def network():
    """Two convolutions and two dense layers of random weights. Channel 1 of conv1 is all zeros; channel 2 is so small, and its bias so
    large, that the bias does not fit 32 bits at the scale of the weights; conv2 has no bias; logits may be negative."""
    random = numpy.random.default_rng(7)
    weights = {
        "conv1.weight": random.normal(0, 0.3, (4, 1, 5, 5)), "conv1.bias": random.normal(0, 0.5, 4),
        "conv2.weight": random.normal(0, 0.1, (6, 4, 3, 3)),
        "fc1.weight": random.normal(0, 0.1, (16, 150)), "fc1.bias": random.normal(0, 0.5, 16),
        "fc2.weight": random.normal(0, 0.3, (16, 10)), "fc2.bias": random.normal(0, 0.5, 10),
    }
    weights["conv1.weight"][1] = 0
    weights["conv1.weight"][2] *= 1e-9
    weights["conv1.bias"][2] = 3
    window = dict(kernel_shape=[5, 5], strides=[1, 1], pads=[0, 0, 0, 0])
    pool = dict(kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["conv1.output"], "conv1", **window, dilations=[1, 1], group=1),
        helper.make_node("Relu", ["conv1.output"], ["relu1.output"], "relu1"),
        helper.make_node("MaxPool", ["relu1.output"], ["pool1.output"], "pool1", **pool),
        helper.make_node("Conv", ["pool1.output", "conv2.weight"], ["conv2.output"], "conv2", **{**window, "kernel_shape": [3, 3]}),
        helper.make_node("MaxPool", ["conv2.output"], ["pool2.output"], "pool2", **pool),
        helper.make_node("Flatten", ["pool2.output"], ["flatten.output"], "flatten", axis=1),
        helper.make_node("Gemm", ["flatten.output", "fc1.weight", "fc1.bias"], ["fc1.output"], "fc1", transB=1),
        helper.make_node("Relu", ["fc1.output"], ["relu3.output"], "relu3"),
        helper.make_node("Gemm", ["relu3.output", "fc2.weight", "fc2.bias"], ["logits"], "fc2"),
    ]
    graph = helper.make_graph(
        nodes, "golden", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(value.astype(numpy.float32), name) for name, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="golden.py")
    model.ir_version = 7
    onnx.checker.check_model(model)
    return model


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "float.onnx"
    onnx.save(network(), model)
    images = numpy.random.default_rng(8).uniform(-0.4242, 2.8215, (2, 8, 1, 28, 28)).astype(numpy.float32)
    ranges = tool.ranges(model, "image", images)
    (folder / "ranges.json").write_text(json.dumps({"onnxruntime": onnxruntime.__version__, "ranges": ranges}, indent=1) + "\n")
    tool.quantize(model, "image", images, folder / "quantized.onnx")


main()
