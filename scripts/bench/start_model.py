"""Writes VGG-16 (Simonyan and Zisserman, ICLR 2015, table 1, D) with random weights: an ONNX file of 553 MB."""

import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool"]


def main(path):
    random, nodes, weights, channels, last = numpy.random.default_rng(16), [], [], 3, "x"

    def add(operator, *shape, **attributes):
        """A layer with weights of that shape, behind the last one; of none, one without."""
        nonlocal last
        inputs = [last]
        if shape:
            scale = (2 / numpy.prod(shape[1:])) ** 0.5
            for part, values in (("w", random.standard_normal(shape, numpy.float32) * numpy.float32(scale)), ("b", numpy.zeros(shape[0], numpy.float32))):
                inputs.append(f"{part}{len(nodes)}")
                weights.append(numpy_helper.from_array(values, inputs[-1]))
        last = f"v{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [last], **attributes))

    for layer in LAYERS:
        if layer == "pool":
            add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            continue
        add("Conv", layer, channels, 3, 3, pads=[1, 1, 1, 1])
        add("Relu")
        channels = layer
    add("Flatten")
    for units, inputs in ((4096, 512 * 7 * 7), (4096, 4096), (1000, 4096)):
        add("Gemm", units, inputs, transB=1)
        if units != 1000:
            add("Relu")
    graph = helper.make_graph(nodes, "vgg16", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 224, 224])],
                              [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", 1000])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    temporary = pathlib.Path(path + ".part")
    temporary.write_bytes(model.SerializeToString())
    temporary.rename(path)


if __name__ == "__main__":
    main(sys.argv[1])
