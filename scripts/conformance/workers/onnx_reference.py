import onnx
import onnx.reference

from harness import main


def load(model, threads, batch):
    session = onnx.reference.ReferenceEvaluator(model)
    name = session.input_names[0]
    return lambda images: session.run(None, {name: images})[0], onnx.__version__, {}


# Its operators loop over images and windows in Python: larger batches win nothing.
main(load, threads=1)
