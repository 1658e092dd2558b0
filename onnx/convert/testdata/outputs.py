"""Holds the exported models of exports/ against ONNX's own tools and writes what they must answer.

Needs onnx==1.22.0, onnxruntime==1.32.0 and numpy. After `go test ./onnx/convert -update`:

    python onnx/convert/testdata/outputs.py

Every model must pass the checker (with shape inference, strictly); the outputs
come from ONNX's reference evaluator, and onnxruntime must agree with them.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

exports = pathlib.Path(__file__).parent / "exports"
for folder in sorted(path.parent for path in exports.glob("*/model.onnx")):
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)

    data = folder / "test_data_set_0"
    given = onnx.load_tensor(data / "input_0.pb")
    feed = {given.name: numpy_helper.to_array(given)}
    (expected,) = ReferenceEvaluator(model).run(None, feed)
    (answer,) = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    ).run(None, feed)
    assert answer.shape == expected.shape and answer.dtype == expected.dtype == np.float32
    difference = np.abs(answer - expected).max()
    assert difference <= 1e-5 * max(1, np.ptp(expected)), f"{folder.name}: {difference}"

    output = numpy_helper.from_array(expected, model.graph.output[0].name)
    (data / "output_0.pb").write_bytes(output.SerializeToString(deterministic=True))
    print(f"{folder.name:20} {str(expected.shape):18} onnxruntime differs by {difference:.2g}")
