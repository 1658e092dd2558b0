import pathlib
import sys
from importlib.metadata import version

import numpy
from ai_edge_litert.interpreter import Interpreter

from harness import main, whole


def load(model, threads, batch):
    interpreter = Interpreter(str(pathlib.Path(sys.argv[7]) / "model_float32.tflite"), num_threads=threads)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(images):
        count = len(images)
        images = whole(images, batch)
        if tuple(taken["shape"]) != images.shape:  # onnx2tf makes channels last of them
            images = numpy.ascontiguousarray(numpy.moveaxis(images, 1, -1)) if images.ndim == 4 else images.reshape(taken["shape"])
        interpreter.set_tensor(taken["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])[:count]

    return run, version("ai-edge-litert"), {}


main(load)
