"""Serves a model as many do it in Python: FastAPI, uvicorn and onnxruntime. bench_serve.py starts it.

POST /predict takes N×C×H×W float32 as they lie in memory, and gives N×K float32 in the same way: no JSON, which would take
most of the time. One process with a thread for each CPU in onnxruntime, as one process of serve has.
"""

import os
import sys

import fastapi
import numpy
import onnxruntime
import uvicorn

path, port = sys.argv[1], int(sys.argv[2])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = len(os.sched_getaffinity(0))
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
shape = session.get_inputs()[0].shape[1:]
app = fastapi.FastAPI()


@app.post("/predict")
async def predict(request: fastapi.Request):
    images = numpy.frombuffer(await request.body(), numpy.float32).reshape(-1, *shape)
    # In a thread of the pool, so that others are read meanwhile.
    scores = await fastapi.concurrency.run_in_threadpool(session.run, None, {name: images})
    return fastapi.Response(scores[0].tobytes(), media_type="application/octet-stream")


uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
