"""What infer -model MODEL PICTURE does, in Python: the best class of one picture, whose pixels lie in a file of float32, N×C×H×W.
bench_start.py times it as a whole process."""

import os
import sys

import numpy
import onnxruntime

settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = len(os.sched_getaffinity(0))
settings.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], settings, providers=["CPUExecutionProvider"])
pixels = numpy.fromfile(sys.argv[2], "<f4").reshape(1, 3, 224, 224)
print("class", session.run(None, {session.get_inputs()[0].name: pixels})[0].argmax())
