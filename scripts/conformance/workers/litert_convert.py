"""MODEL FOLDER SHAPE: converts MODEL, its batch fixed, with onnx2tf into FOLDER/model_float32.tflite."""

import pathlib
import shutil
import subprocess
import sys

from harness import BATCH

model, folder = sys.argv[1], pathlib.Path(sys.argv[2])
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
shutil.copy(model, folder / "model.onnx")
# Nothing is simplified or optimised before the conversion: the file itself is to be answered.
result = subprocess.run(
    [pathlib.Path(sys.executable).with_name("onnx2tf"), "-i", "model.onnx", "-o", ".", "-b", str(BATCH), "-n", "-nuo", "-nuonag"],
    cwd=folder, capture_output=True, text=True)
if not (folder / "model_float32.tflite").is_file():
    sys.exit(f"onnx2tf wrote no model_float32.tflite, exit code {result.returncode}:\n{result.stdout[-1500:]}{result.stderr[-1500:]}")
