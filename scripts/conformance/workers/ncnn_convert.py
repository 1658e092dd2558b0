"""MODEL FOLDER SHAPE: converts MODEL with pnnx into FOLDER/model.ncnn.param and .bin, without half precision."""

import importlib.metadata
import pathlib
import shutil
import subprocess
import sys

model, folder, shape = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
shutil.copy(model, folder / "model.onnx")
# The program itself: the package's entry point imports PyTorch, which a conversion from ONNX does not need.
pnnx = importlib.metadata.distribution("pnnx").locate_file("pnnx/pnnx")
result = subprocess.run([pnnx, "model.onnx", f"inputshape=[1,{shape}]f32", "fp16=0"], cwd=folder, capture_output=True, text=True)
if not (folder / "model.ncnn.bin").is_file():
    sys.exit(f"pnnx wrote no model.ncnn.bin, exit code {result.returncode}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
