"""Makes the models that infer's tests run, and golden.json with what the ONNX reference evaluator answers.

    python3 -m venv venv && venv/bin/pip install onnx==1.22.0 numpy==2.4.6
    venv/bin/python make_models.py            # writes into its own folder; the same bytes every time

The networks are tiny and their weights random (seed 20): they answer nothing right, and what is asked of a runtime is
that it answers the same.
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(20)


def weight(name, *shape, scale=0.2):
    return numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name)


WEIGHTS = [
    weight("conv1.weight", 4, 1, 5, 5),
    weight("conv1.bias", 4),
    weight("conv2.weight", 6, 4, 5, 5),
    weight("conv2.bias", 6),
    weight("fc1.weight", 16, 96),
    weight("fc1.bias", 16),
    weight("fc2.weight", 10, 16),
    weight("fc2.bias", 10),
]


def layers(image="image", dilations=False, kernel_shape=True):
    """E1's layers at a fifth of its width."""
    kernel = {"kernel_shape": [5, 5]} if kernel_shape else {}
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    if dilations:
        pool["dilations"] = [1, 1]
    node = helper.make_node
    return [
        node("Conv", [image, "conv1.weight", "conv1.bias"], ["a"], **kernel),
        node("Relu", ["a"], ["b"]),
        node("MaxPool", ["b"], ["c"], **pool),
        node("Conv", ["c", "conv2.weight", "conv2.bias"], ["d"], **kernel),
        node("Relu", ["d"], ["e"]),
        node("MaxPool", ["e"], ["f"], **pool),
        node("Flatten", ["f"], ["g"], axis=1),
        node("Gemm", ["g", "fc1.weight", "fc1.bias"], ["h"], transB=1),
        node("Relu", ["h"], ["i"]),
        node("Gemm", ["i", "fc2.weight", "fc2.bias"], ["logits"], transB=1),
    ]


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(name, nodes, inputs, outputs, initializers=WEIGHTS, opset=13, check=True, domains=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    model = helper.make_model(graph, opset_imports=imports, producer_name="make_models.py")
    model.ir_version = 7
    if check:
        onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    return model


LOGITS = [value("logits", ["N", 10])]
small = save("small", layers(), [value("image", ["N", 1, 28, 28])], LOGITS)
save("fixed4", layers(), [value("image", [4, 1, 28, 28])], [value("logits", [4, 10])])
save("fixed1", layers(), [value("image", [1, 1, 28, 28])], [value("logits", [1, 10])])
save("defaults", layers(dilations=True, kernel_shape=False), [value("image", ["N", 1, 28, 28])], LOGITS)
save("nhwc", [helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2])] + layers("first"),
     [value("image", ["N", 28, 28, 1])], LOGITS)
save("nhw", [helper.make_node("Reshape", ["image", "shape"], ["first"])] + layers("first"),
     [value("image", ["N", 28, 28])], LOGITS,
     WEIGHTS + [numpy_helper.from_array(np.array([-1, 1, 28, 28]), "shape")])
save("flat", [helper.make_node("Reshape", ["pixels", "shape"], ["image"])] + layers(),
     [value("pixels", ["N", 784])], LOGITS,
     WEIGHTS + [numpy_helper.from_array(np.array([-1, 1, 28, 28]), "shape")])
save("uint8", [helper.make_node("Cast", ["bytes"], ["image"], to=TensorProto.FLOAT)] + layers(),
     [value("bytes", ["N", 1, 28, 28], TensorProto.UINT8)], LOGITS)
save("softmax", layers() + [helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1)],
     [value("image", ["N", 1, 28, 28])], [value("probabilities", ["N", 10])])
save("label_and_scores", layers() + [helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0)],
     [value("image", ["N", 1, 28, 28])], [value("label", ["N"], TensorProto.INT64)] + LOGITS)
save("two_scores", layers() + [helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)],
     [value("image", ["N", 1, 28, 28])], LOGITS + [value("probabilities", ["N", 10])])
save("two_inputs", layers() + [helper.make_node("Add", ["logits", "mask"], ["masked"])],
     [value("image", ["N", 1, 28, 28]), value("mask", [1, 10])], [value("masked", ["N", 10])])
save("color32", [helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1]),
                 helper.make_node("Flatten", ["grey"], ["flat"], axis=1),
                 helper.make_node("Gemm", ["flat", "w", "b"], ["logits"])],
     [value("image", ["N", 3, 32, 32])], LOGITS, [weight("w", 1024, 10), weight("b", 10)])
# Classes fewer than the data's.
save("five", layers()[:-1] + [helper.make_node("Gemm", ["i", "fc5.weight", "fc5.bias"], ["logits"], transB=1)],
     [value("image", ["N", 1, 28, 28])], [value("logits", ["N", 5])],
     WEIGHTS[:-2] + [weight("fc5.weight", 5, 16), weight("fc5.bias", 5)])
# Answers NaN: 0/0 by a Div behind the network.
save("nan", layers() + [helper.make_node("Mul", ["logits", "zero"], ["zeros"]), helper.make_node("Div", ["zeros", "zeros"], ["scores"])],
     [value("image", ["N", 1, 28, 28])], [value("scores", ["N", 10])],
     WEIGHTS + [numpy_helper.from_array(np.array(0, dtype=np.float32), "zero")])
# As skl2onnx exports a classifier: a label and a sequence of maps.
probabilities = helper.make_value_info(
    "probabilities",
    helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))))
save("zipmap", layers() + [helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0),
                           helper.make_node("ZipMap", ["logits"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=list(range(10)))],
     [value("image", ["N", 1, 28, 28])], [value("label", ["N"], TensorProto.INT64), probabilities], domains=["ai.onnx.ml"])

# Hostile ones. A stride of 0 ends some versions of onnxruntime by SIGFPE.
nodes = layers()
nodes[2] = helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[0, 0])
save("stride0", nodes, [value("image", ["N", 1, 28, 28])], LOGITS, check=False)
outside = onnx.load(HERE / "small.onnx")
tensor = outside.graph.initializer[0]
tensor.ClearField("raw_data")
tensor.data_location = TensorProto.EXTERNAL
for key, text in {"location": "../outside.bin", "offset": "0", "length": "400"}.items():
    tensor.external_data.add(key=key, value=text)
(HERE / "external_outside.onnx").write_bytes(outside.SerializeToString(deterministic=True))
(HERE / "truncated.onnx").write_bytes((HERE / "small.onnx").read_bytes()[:5000])
(HERE / "text.onnx").write_text("this is no model\n")

# The reference evaluator's answers: pixel j of image i is (7·i + 13·j) mod 256.
images = ((7 * np.arange(3)[:, None] + 13 * np.arange(784)[None, :]) % 256).astype(np.float32).reshape(3, 1, 28, 28)
logits = ReferenceEvaluator(small).run(None, {"image": images})[0]
(HERE / "golden.json").write_text(json.dumps({"logits": [[float(v) for v in row] for row in logits]}, indent=1) + "\n")
