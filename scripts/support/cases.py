"""FOLDER SUITE E1: writes what the runtimes are asked, each case a folder of FOLDER with model.onnx, inputs.npz and outputs.npz, and
FOLDER/cases.json: name, kind ("opset", "ir" or "operator"), value, and constant, the name of the same case with all inputs but the first as
initializers, as weights, shapes and axes are in real graphs, or null. Run with a Python that has onnx."""

import json
import pathlib
import sys

import numpy
import onnx
from onnx import numpy_helper

folder, suite, e1 = map(pathlib.Path, sys.argv[1:])
# What these are given is a size, which real graphs have as a constant; without another input there is nothing left to feed.
OF_SIZES = {"ConstantOfShape", "BlackmanWindow", "HammingWindow", "HannWindow"}
NEWEST_OPSET, NEWEST_IR = onnx.defs.onnx_opset_version(), onnx.IR_VERSION


def tensors(files):
    """The arrays of the test data, None where one is no tensor."""
    arrays = []
    for file in files:
        tensor = onnx.TensorProto()
        tensor.ParseFromString(file.read_bytes())
        if tensor.data_type == onnx.TensorProto.STRING or not tensor.data_type:
            return None
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind not in "fiub" or tensor.data_type > onnx.TensorProto.UINT64:
            return None  # bfloat16 and narrower, which NumPy's files do not keep
        arrays.append(array)
    return arrays


def data(source, count):
    try:
        files = lambda kind: sorted(source.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[-1]))
        inputs, outputs = tensors(files("input")), tensors(files("output"))
    except Exception:
        return None
    return (inputs, outputs) if inputs is not None and outputs is not None and len(inputs) == count else None


def write(name, model, arrays):
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    (target / "model.onnx").write_bytes(model.SerializeToString())
    (target / "names.json").write_text(json.dumps([value.name for value in model.graph.input]))
    for kind, values in zip(("inputs", "outputs"), arrays):
        numpy.savez(target / f"{kind}.npz", **{str(i): value for i, value in enumerate(values)})


def stamped():
    """E1 without the attributes of MaxPool that say what is the default, and that opsets before 8 and 10 do not know."""
    model = onnx.load(e1)
    for node in model.graph.node:
        for attribute in [a for a in node.attribute if a.name in ("ceil_mode", "storage_order")]:
            assert not attribute.i
            node.attribute.remove(attribute)
    return model


cases = []
arrays = data(e1.with_suffix("") / "test_data_set_0", 1)
for opset in range(6, NEWEST_OPSET + 1):
    model = stamped()
    model.opset_import[0].version = opset
    write(f"opset_{opset}", model, arrays)
    cases.append({"name": f"opset_{opset}", "kind": "opset", "value": opset})
for ir in range(4, NEWEST_IR + 1):
    model = stamped()
    model.ir_version = ir
    write(f"ir_{ir}", model, arrays)
    cases.append({"name": f"ir_{ir}", "kind": "ir", "value": ir})
for file in sorted(suite.glob("node/*/model.onnx")):
    model = onnx.load(file)
    operators = {(node.domain, node.op_type) for node in model.graph.node}
    if len(operators) != 1 or model.functions:
        continue
    (domain, operator), = operators
    arrays = data(file.parent / "test_data_set_0", len(model.graph.input))
    if domain not in ("", "ai.onnx") or not arrays or operator in OF_SIZES:
        continue
    name, constant = file.parent.name.removeprefix("test_"), None
    write(name, model, arrays)
    if len(arrays[0]) > 1:
        constant = name + ".constant"
        for value, array in zip(list(model.graph.input)[1:], arrays[0][1:]):
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
            model.graph.input.remove(value)
        write(constant, model, (arrays[0][:1], arrays[1]))
    cases.append({"name": name, "kind": "operator", "value": operator, "constant": constant})
(folder / "cases.json").write_text(json.dumps(cases))
