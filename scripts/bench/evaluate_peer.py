"""A peer's worker of bench_evaluate.py: it answers a batch as often as it is told and says how long each time took. Its lines of JSON
are those of slipway/evaluate.go.

usage: evaluate_peer.py onnxruntime|openvino|tract MODEL INPUT SHAPE THREADS
"""

import json
import sys
import time

import numpy


def onnxruntime(model, batch, threads):
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: batch}
    return f"onnxruntime {onnxruntime.__version__}", lambda: session.run(None, inputs)[0]


def openvino(model, batch, threads):
    import openvino
    core = openvino.Core()
    network = core.read_model(model)
    network.reshape(list(batch.shape))
    # Without the hint it computes in bfloat16 where the CPU has that.
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    request = core.compile_model(network, "CPU", settings).create_infer_request()

    def run():
        request.infer([batch], share_inputs=True, share_outputs=True)
        return request.get_output_tensor(0).data
    return f"OpenVINO {openvino.__version__.split('-')[0]}", run


def tract(model, batch, threads):
    import tract
    if threads > 1:
        raise ImportError("its Python binding computes on one thread")
    network = tract.onnx().load(model)
    network.set_input_fact(0, ",".join(map(str, batch.shape)) + ",f32")
    network.analyse()
    runnable = network.into_model().into_runnable()
    return f"tract {tract.version()}", lambda: runnable.run([batch])[0].to_numpy()


def main():
    system, model, path, shape, threads = sys.argv[1:]
    batch = numpy.fromfile(path, "<f4").reshape([int(size) for size in shape.split(",")])
    try:
        version, run = {"onnxruntime": onnxruntime, "openvino": openvino, "tract": tract}[system](model, batch, int(threads))
    except Exception as error:
        print(json.dumps({"unavailable": f"{type(error).__name__}: {error}".splitlines()[0][:300]}), flush=True)
        return
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        command, seconds, computed = json.loads(line), [], time.process_time()
        for _ in range(command["runs"]):
            began = time.perf_counter()
            scores = run()
            seconds.append(time.perf_counter() - began)
        answer = {"seconds": seconds, "cpu_seconds": time.process_time() - computed}
        if command.get("scores"):
            answer["scores"] = numpy.asarray(scores, float).ravel().tolist()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
