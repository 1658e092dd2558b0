"""DenseNet-121 (Huang et al., https://arxiv.org/abs/1608.06993) for images of 3×224×224 and 1000 classes, as torch.onnx writes
torchvision's in evaluation: normalisations before convolutions that nothing can be folded into. Weights are drawn at random.

usage: densenet.py FILE
"""

import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

GROWTH, BLOCKS = 32, (6, 12, 24, 16)


class Graph:
    def __init__(self):
        self.nodes, self.weights, self.random = [], [], numpy.random.default_rng(1)

    def node(self, operator, inputs, **attributes):
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def weight(self, values):
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(numpy.float32), name))
        return name

    def conv(self, x, channels, filters, size, stride=1, padding=0):
        drawn = self.random.standard_normal((filters, channels, size, size)) * (2 / (channels * size * size)) ** 0.5
        return self.node("Conv", [x, self.weight(drawn)], kernel_shape=[size, size], strides=[stride, stride],
                         pads=[padding] * 4, dilations=[1, 1], group=1)

    def normalise(self, x, channels):
        low, high = (0.5, -0.2, -0.2, 0.5), (1.5, 0.2, 0.2, 1.5)  # scale, bias, mean, variance
        parameters = [self.weight(self.random.uniform(a, b, channels)) for a, b in zip(low, high)]
        return self.node("Relu", [self.node("BatchNormalization", [x, *parameters], epsilon=1e-5)])


def densenet121():
    g = Graph()
    x = g.normalise(g.conv("image", 3, 64, 7, 2, 3), 64)
    x, channels = g.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 64
    for number, layers in enumerate(BLOCKS):
        features = [x]
        for _ in range(layers):
            y = features[0] if len(features) == 1 else g.node("Concat", features, axis=1)
            y = g.conv(g.normalise(y, channels), channels, 4 * GROWTH, 1)
            features.append(g.conv(g.normalise(y, 4 * GROWTH), 4 * GROWTH, GROWTH, 3, 1, 1))
            channels += GROWTH
        x = g.normalise(g.node("Concat", features, axis=1), channels)
        if number < len(BLOCKS) - 1:
            x = g.node("AveragePool", [g.conv(x, channels, channels // 2, 1)], kernel_shape=[2, 2], strides=[2, 2])
            channels //= 2
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x])], axis=1)
    weight = g.weight(g.random.standard_normal((1000, channels)) * channels**-0.5)
    x = g.node("Gemm", [x, weight, g.weight(numpy.zeros(1000))], transB=1)
    g.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        g.nodes, "densenet121", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1000])], g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    onnx.save(densenet121(), sys.argv[1])
