"""Has tritonclient ask a server, and says what it saw. See check-clients."""

import subprocess
import sys

import numpy
import tritonclient.grpc as rpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

TOKEN = "clients-check-0123456789"
IMAGES = 5


def check(what, holds):
    """Ends the program where something does not hold."""
    if not holds:
        sys.exit(f"check-clients: {what}: no")
    print(f"ok  {what}")


def refused(what, words, ask):
    try:
        ask()
    except InferenceServerException as error:
        check(f"{what}: {error}", words in str(error))
        return
    sys.exit(f"check-clients: {what}: it was answered")


def batches(model):
    """Images as the first channel of noise, the same every time."""
    shape = [IMAGES] + model["inputs"][0]["shape"][1:]
    return numpy.random.default_rng(1).integers(0, 256, shape).astype(numpy.float32)


def ask_http(url):
    headers = {"Authorization": "Bearer " + TOKEN}
    client = http.InferenceServerClient(url, concurrency=8)
    check("HTTP: live, ready", client.is_server_live() and client.is_server_ready())
    refused("HTTP: without the token", "token", lambda: client.get_server_metadata())
    check("HTTP: the server's metadata", "binary_tensor_data" in client.get_server_metadata(headers=headers)["extensions"])
    index = client.get_model_repository_index(headers=headers)
    check("HTTP: the repository's index", {line["name"] for line in index} >= {"e1", "e2"})
    check("HTTP: a model is ready, another is not", client.is_model_ready("e1", headers=headers)
          and client.is_model_ready("e1", "1", headers=headers) and not client.is_model_ready("none", headers=headers))
    model = client.get_model_metadata("e1", headers=headers)
    name, output = model["inputs"][0]["name"], model["outputs"][0]["name"]
    images = batches(model)

    def ask(images, binary_input=True, binary_output=True, **more):
        tensor = http.InferInput(name, list(images.shape), "FP32")
        tensor.set_data_from_numpy(images, binary_data=binary_input)
        outputs = None
        if binary_output is not None:
            outputs = [http.InferRequestedOutput(output, binary_data=binary_output)]
        # A copy, since the client writes the length of its JSON into what it is given.
        return client.infer("e1", [tensor], outputs=outputs, headers=dict(headers), **more)

    answer = ask(images, request_id="42")
    scores = answer.as_numpy(output)
    check("HTTP: scores of the shape and the type that the metadata says", scores.shape == (IMAGES, model["outputs"][0]["shape"][1])
          and scores.dtype == numpy.float32 and answer.get_response()["id"] == "42")
    for form, given in {
        "JSON in, binary out": {"binary_input": False},
        "binary in, JSON out": {"binary_output": False},
        "JSON in, JSON out": {"binary_input": False, "binary_output": False},
        "no output named": {"binary_output": None},
        "gzip": {"request_compression_algorithm": "gzip"},
        "deflate": {"request_compression_algorithm": "deflate"},
        "a version": {"model_version": "1"},
    }.items():
        check(f"HTTP: the same bits, {form}", numpy.array_equal(ask(images, **given).as_numpy(output), scores))
    pending = []
    for image in list(images) * 8:
        tensor = http.InferInput(name, [1, *image.shape], "FP32")
        tensor.set_data_from_numpy(image[None])
        pending.append(client.async_infer("e1", [tensor], headers=dict(headers)))
    answers = numpy.concatenate([one.get_result().as_numpy(output) for one in pending])
    check("HTTP: the same bits alone, many at a time", numpy.array_equal(answers, numpy.concatenate([scores] * 8)))
    wrong = http.InferInput("wrong", list(images.shape), "FP32")
    wrong.set_data_from_numpy(images)
    refused("HTTP: another input", "the model has no input", lambda: client.infer("e1", [wrong], headers=dict(headers)))
    refused("HTTP: another shape", "has the shape", lambda: ask(images[:, :, 1:]))
    refused("HTTP: another model", "no model", lambda: client.infer("none", [wrong], headers=dict(headers)))
    client.close()
    return images, scores


def ask_grpc(url, images, scores):
    headers = {"authorization": "Bearer " + TOKEN}
    client = rpc.InferenceServerClient(url)
    check("gRPC: live, ready", client.is_server_live() and client.is_server_ready())
    refused("gRPC: without the token", "token", lambda: client.get_server_metadata())
    check("gRPC: the server's metadata", client.get_server_metadata(headers=headers).name == "slipway")
    check("gRPC: a model is ready", client.is_model_ready("e1", headers=headers))
    model = client.get_model_metadata("e1", headers=headers, as_json=True)
    name, output = model["inputs"][0]["name"], model["outputs"][0]["name"]
    tensor = rpc.InferInput(name, list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    answer = client.infer("e1", [tensor], outputs=[rpc.InferRequestedOutput(output)], request_id="42", headers=headers)
    check("gRPC: the same bits as by HTTP", numpy.array_equal(answer.as_numpy(output), scores) and answer.get_response().id == "42")
    answer = client.infer("e1", [tensor], compression_algorithm="gzip", headers=headers)
    check("gRPC: the same bits, gzip", numpy.array_equal(answer.as_numpy(output), scores))
    refused("gRPC: another model", "no model", lambda: client.infer("none", [tensor], headers=headers))
    client.close()


def main():
    program, graphs = sys.argv[1:]
    server = subprocess.Popen([program, "-listen", "127.0.0.1:0", "-grpc-listen", "127.0.0.1:0", graphs], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env={"SLIPWAY_SERVE_TOKEN": TOKEN})
    try:
        address = server.stdout.readline().strip()
        check(f"the server says where it is: {address}", address.startswith("http://127.0.0.1:"))
        images, scores = ask_http(address.removeprefix("http://").rstrip("/"))
        address = server.stdout.readline().strip()
        check(f"and where its gRPC is: {address}", address.startswith("grpc://127.0.0.1:"))
        ask_grpc(address.removeprefix("grpc://").rstrip("/"), images, scores)
    finally:
        server.terminate()
        code = server.wait(timeout=60)
    check("the server ends well", code == 0)


if __name__ == "__main__":
    main()
