"""What infer -model MODEL -data t10k does, in Python: MNIST's test set from its IDX files, the answers of onnxruntime, and
the accuracy, figures of each class and the confusion matrix of them. bench_infer.py times it as a whole process."""

import argparse
import gzip
import os
import pathlib

import numpy
import onnxruntime

DATA = pathlib.Path(__file__).resolve().parents[2] / "dataset" / "t10k"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    images = numpy.frombuffer(gzip.decompress((DATA / "t10k-images-idx3-ubyte.gz").read_bytes()), numpy.uint8, offset=16)
    labels = numpy.frombuffer(gzip.decompress((DATA / "t10k-labels-idx1-ubyte.gz").read_bytes()), numpy.uint8, offset=8)
    images = images.reshape(-1, 1, 28, 28)

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = len(os.sched_getaffinity(0))
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(options.model, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    answers = []
    for begin in range(0, len(images), options.batch):
        logits = session.run(None, {name: images[begin : begin + options.batch].astype(numpy.float32)})[0]
        answers.append(logits.argmax(axis=1))
    answers = numpy.concatenate(answers)

    confusion = numpy.zeros((10, 10), int)
    numpy.add.at(confusion, (labels, answers), 1)
    right = confusion.diagonal()
    print(f"Accuracy = {100 * right.sum() / len(labels):.2f} %")
    for label in range(10):
        precision, recall = right[label] / confusion[:, label].sum(), right[label] / confusion[label].sum()
        print(f"{label} {confusion[label].sum():5} {precision:.4f} {recall:.4f} {2 * precision * recall / (precision + recall):.4f}")
    print(confusion)


if __name__ == "__main__":
    main()
