"""What the Python workers share: WORKER MODEL INPUTS COUNT LOGITS THREADS SHAPE.

Reads COUNT images from INPUTS, float32 or, where it ends in .u8, uint8, runs MODEL on them in the SHAPE that it takes, such as 1,28,28, and in batches
of CONFORMANCE_BATCH where the environment names the only one that it takes; writes the logits to LOGITS as little-endian float32, and prints one line of JSON: version, precision, batch, threads, seconds in the runtime, time of the first answer."""

import json
import math
import os
import sys
import time

import numpy


BATCH = 100


def whole(images, batch):
    """The images, followed by images of zeros where they are no whole batch, for a runtime whose graph takes nothing else."""
    if len(images) == batch:
        return images
    return numpy.concatenate([images, numpy.zeros((batch - len(images), *images.shape[1:]), images.dtype)])


def main(load, batch=BATCH, threads=None):
    """load(model, threads, batch) returns (run, version, more): run takes N×SHAPE and returns logits [N, K]."""
    batch = int(os.environ.get("CONFORMANCE_BATCH", batch))
    model, inputs, count, target, asked = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
    threads = threads or asked
    shape = tuple(map(int, sys.argv[6].split(",")))
    kind = numpy.dtype("u1" if inputs.endswith(".u8") else "<f4")
    images = numpy.fromfile(inputs, kind, count * math.prod(shape)).astype(kind.newbyteorder("=")).reshape(count, *shape)
    run, version, more = load(model, threads, batch)
    logits, seconds, first, told = [], 0.0, None, time.monotonic()
    for start in range(0, count, batch):
        chunk = images[start : start + batch]
        begin = time.perf_counter()
        logits.append(numpy.array(run(chunk), numpy.float32).reshape(len(chunk), -1))
        seconds += time.perf_counter() - begin
        first = first or time.time()
        if time.monotonic() - told > 15:
            told = time.monotonic()
            print(f"{start + len(chunk)} of {count} images", file=sys.stderr, flush=True)
    numpy.concatenate(logits).astype("<f4").tofile(target)
    print(json.dumps({"version": version, "precision": "float32", "batch": batch, "threads": threads, "seconds": seconds, "first_answer": first, **more}))
