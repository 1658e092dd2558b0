"""RUNTIME FOLDER: reads names of cases from its input, a line each, and answers each with a line of JSON: name, state and message. The state is
"refused" (it does not load), "failed" (it does not run), "unread" (it runs, but its answer cannot be read), "wrong" or "right"."""

import json
import pathlib
import sys

import numpy

runtime, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def onnxruntime_load(path):
    import onnxruntime
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs)))


def openvino_load(path):
    import openvino
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})

    def run(inputs):
        result = compiled(inputs)
        return [result[output] for output in compiled.outputs]

    return run


def opencv_load(path):
    import cv2
    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    if net.empty():
        raise ValueError("the network is empty")

    def run(inputs):
        names = input_names(path)
        for name, value in zip(names, inputs):
            net.setInput(value, name)
        outputs = net.forward(net.getUnconnectedOutLayersNames())
        return list(outputs)

    return run


def input_names(path):
    return json.loads((path.parent / "names.json").read_text())


def tract_load(path):
    import tract
    model = tract.onnx().load(path).into_model().into_runnable()
    return lambda inputs: [value.to_numpy() for value in model.run(list(inputs))]


load = {"onnxruntime": onnxruntime_load, "openvino": openvino_load, "opencv": opencv_load, "tract": tract_load}[runtime]


def arrays(path):
    with numpy.load(path) as file:
        return [file[str(i)] for i in range(len(file.files))]


def same(want, got):
    if len(want) != len(got):
        return "another number of outputs"
    for w, g in zip(want, got):
        g = numpy.asarray(g)
        if w.size != g.size:
            return f"an output of the shape {list(g.shape)} instead of {list(w.shape)}"
        # The tolerance of ONNX's own runner. Shapes may differ by ones: OpenCV has no scalars.
        if not numpy.allclose(w.reshape(-1).astype("f8"), g.reshape(-1).astype("f8"), rtol=1e-3, atol=1e-5, equal_nan=True):
            return "other values"
    return ""


def ask(name):
    case = folder / name
    try:
        run = load(case / "model.onnx")
    except Exception as problem:
        return "refused", problem
    try:
        difference = same(arrays(case / "outputs.npz"), run(arrays(case / "inputs.npz")))
    except Exception as problem:
        # tract computes shapes in a type of its own, which its Python package does not show.
        return "unread" if "in the public API" in str(problem) else "failed", problem
    return ("wrong", difference) if difference else ("right", "")


for line in sys.stdin:
    name = line.strip()
    state, message = ask(name)
    print(json.dumps({"name": name, "state": state, "message": " ".join(str(message).split())[:400]}), flush=True)
