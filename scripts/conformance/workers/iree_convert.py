"""MODEL FOLDER SHAPE: compiles MODEL, its batch fixed, into FOLDER/model.vmfb for this CPU."""

import pathlib
import shutil
import subprocess
import sys

import iree.compiler.tools
import onnx

from harness import BATCH

model, folder = sys.argv[1], pathlib.Path(sys.argv[2])
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
proto = onnx.load(model)
for value in (proto.graph.input[0], proto.graph.output[0]):
    value.type.tensor_type.shape.dim[0].dim_value = BATCH
del proto.graph.value_info[:]
proto.graph.name = "classify"  # the function's name
onnx.save(proto, folder / "model.onnx")
# The importer takes files alone; it raises the operators to opset 17, as IREE's documentation asks for.
subprocess.run([sys.executable, "-m", "iree.compiler.tools.import_onnx", folder / "model.onnx", "-o", folder / "model.mlir", "--opset-version", "17"], check=True)
iree.compiler.tools.compile_file(
    str(folder / "model.mlir"), output_file=str(folder / "model.vmfb"), input_type="onnx",
    extra_args=["--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu", "--iree-llvmcpu-target-cpu=host"])
