"""Has KServe's own SDK ask a server, and says what it saw. See check-clients."""

import asyncio
import subprocess
import sys

import grpc
import httpx
import numpy
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

TOKEN = "clients-check-0123456789"
IMAGES = 5


def check(what, holds):
    """Ends the program where something does not hold."""
    if not holds:
        sys.exit(f"check-clients: {what}: no")
    print(f"ok  {what}")


def request(images, binary_input, binary_output=None):
    tensor = InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images, binary_data=binary_input)
    asked = {} if binary_output is None else {"request_outputs": [RequestedOutput("logits", {"binary_data": binary_output})]}
    return InferRequest(model_name="e1", infer_inputs=[tensor], request_id="42", **asked)


async def ask_http(url, images):
    headers = {"Authorization": "Bearer " + TOKEN}
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    check("KServe's SDK, HTTP: live, ready", await client.is_server_live(url) and await client.is_server_ready(url))
    check("KServe's SDK, HTTP: a model is ready", await client.is_model_ready(url, "e1", headers=headers))
    answer = await client.infer(url, request(images, True), model_name="e1", headers=dict(headers))
    output = answer.outputs[0]
    scores = output.as_numpy()
    check("KServe's SDK, HTTP: scores of the shape that the metadata says", scores.shape == (IMAGES, 10) and scores.dtype == numpy.float32 and answer.id == "42")
    for binary_input in (True, False):
        for binary_output in (True, False):
            answer = await client.infer(url, request(images, binary_input, binary_output), model_name="e1", headers=dict(headers))
            check(f"KServe's SDK, HTTP: the same bits, {'binary' if binary_input else 'JSON'} in, {'binary' if binary_output else 'JSON'} out",
                  numpy.array_equal(answer.outputs[0].as_numpy(), scores))
    for what, words, ask in [
        ("without the token", "token", lambda: client.infer(url, request(images, False), model_name="e1")),
        ("another model", "no model", lambda: client.infer(url, request(images, False), model_name="none", headers=dict(headers))),
        ("another shape", "has the shape", lambda: client.infer(url, request(images[:, :, 1:], False), model_name="e1", headers=dict(headers))),
    ]:
        try:
            await ask()
            sys.exit(f"check-clients: KServe's SDK, HTTP: {what}: it was answered")
        except httpx.HTTPStatusError as error:
            check(f"KServe's SDK, HTTP: {what}: {error}", words in str(error))
    await client.close()
    return scores


async def ask_grpc(url, images, scores):
    headers = (("authorization", "Bearer " + TOKEN),)
    async with InferenceGRPCClient(url, retries=0) as client:
        check("KServe's SDK, gRPC: live, ready", await client.is_server_live(headers=headers) and await client.is_server_ready(headers=headers))
        check("KServe's SDK, gRPC: a model is ready", await client.is_model_ready("e1", headers=headers))
        for binary in (True, False):
            answer = await client.infer(request(images, binary), headers=headers)
            check(f"KServe's SDK, gRPC: the same bits, {'raw' if binary else 'typed'} contents", numpy.array_equal(answer.outputs[0].as_numpy(), scores))
        try:
            await client.infer(request(images, True))
            sys.exit("check-clients: KServe's SDK, gRPC: without the token: it was answered")
        except grpc.RpcError as error:
            check(f"KServe's SDK, gRPC: without the token: {error.details()}", error.code() == grpc.StatusCode.UNAUTHENTICATED)


def main():
    program, graphs = sys.argv[1:]
    server = subprocess.Popen([program, "-listen", "127.0.0.1:0", "-grpc-listen", "127.0.0.1:0", graphs], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env={"SLIPWAY_SERVE_TOKEN": TOKEN})
    try:
        url = server.stdout.readline().strip()
        check(f"the server says where it is: {url}", url.startswith("http://127.0.0.1:"))
        images = numpy.random.default_rng(1).integers(0, 256, [IMAGES, 1, 28, 28]).astype(numpy.float32)
        scores = asyncio.run(ask_http(url.rstrip("/"), images))
        address = server.stdout.readline().strip().removeprefix("grpc://").rstrip("/")
        asyncio.run(ask_grpc(address, images, scores))
    finally:
        server.terminate()
        code = server.wait(timeout=60)
    check("the server ends well", code == 0)


if __name__ == "__main__":
    main()
