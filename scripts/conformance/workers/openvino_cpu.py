import openvino

from harness import main


def load(model, threads, batch):
    # Without the hint the plugin may compute in bfloat16 or float16.
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads})
    request = compiled.create_infer_request()
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if precision != "f32":
        raise RuntimeError(f"asked for f32, computes in {precision}")
    return lambda images: request.infer([images])[0], openvino.__version__.split("-")[0], {}


main(load)
