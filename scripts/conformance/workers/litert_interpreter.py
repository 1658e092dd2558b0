import pathlib
import sys
from importlib.metadata import version

from ai_edge_litert.interpreter import Interpreter

from harness import main, whole


def load(model, threads, batch):
    interpreter = Interpreter(str(pathlib.Path(sys.argv[7]) / "model_float32.tflite"), num_threads=threads)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(images):
        # onnx2tf makes channels last of them: of one channel, the same values in the same order.
        interpreter.set_tensor(taken["index"], whole(images, batch).reshape(taken["shape"]))
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])[: len(images)]

    return run, version("ai-edge-litert"), {}


main(load)
