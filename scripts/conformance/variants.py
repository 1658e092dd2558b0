"""The graphs' variants: what export is asked for, and what one that it made is held against."""

import dataclasses
import hashlib
import pathlib
import subprocess

import judge
import pixels
from places import CACHE, ROOT

# What each variant in the table asks export for.
ALL = {
    "float16": ["-variant", "float16"],
    "int8": ["-variant", "int8"],
    "batch1": ["-batch", "1"],
    "softmax": ["-softmax"],
    "uint8": ["-input", "uint8"],
}

# Largest difference, of the range of the scores, between two runtimes that answer with one variant. Of float16 weights the same float32
# numbers are made everywhere. Of int8 some runtimes add integers and others what they stand for, and what lies near the middle of two steps
# of a layer falls to one or the other: each such step, 1/255 of the layer's range, may move a score by a few thousandths.
TOLERANCES = {"int8": 1e-2}

# What the variant may lose against the graph itself, in the runtime that is asked first: export's own limits.
LIMITS = {"float16": judge.Limits(difference=2**-11, labels=5e-4, loss=1e-3), "int8": judge.Limits(difference=0.1, labels=1e-2, loss=1e-3)}

FIRST = "onnxruntime-python"  # what other runtimes are compared with where the weights are not the graph's


@dataclasses.dataclass(frozen=True)
class Variant:
    """What the metadata of a model that export made says."""

    name: str  # such as "int8, batch 1"
    source: str  # the graph's sha256

    @property
    def precision(self):
        return next((name for name in LIMITS if name in self.name.split(", ")), "float32")

    @property
    def softmax(self):
        return "softmax" in self.name.split(", ")


def recorded(model):
    """The model's Variant, None if it is none."""
    metadata = pixels.metadata(model)
    name = metadata.get("slipway.variant")
    return Variant(name, metadata.get("slipway.variant_of", "")) if name else None


def calibrated(graph, place, say):
    """Flags that name images to calibrate int8 on: those of train/ beside a test set that is a folder of its own, export's own
    choice for MNIST; None where there are none."""
    if not pathlib.Path(place).is_absolute():
        return []
    training = pathlib.Path(place).parent / "train"
    if not training.is_dir():
        say(f"{graph.stem}-int8.onnx is left out: it is calibrated on training images, and there is no folder {training}")
        return None
    return ["-calibration-data", str(training)]


def make(graph, place, say):
    """Has export make every variant of a graph, which is tested on the set at place, unless it has; returns their files."""
    program = ROOT / "bin" / "export"
    if not program.is_file():
        raise ValueError("bin/export is not built: make build")
    folder = CACHE / "variants" / hashlib.sha256(graph.read_bytes() + program.read_bytes()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, flags in ALL.items():
        target = folder / f"{graph.stem}-{name}.onnx"
        if name == "int8":
            calibration = calibrated(graph, place, say)
            if calibration is None:
                continue
            flags = [*flags, *calibration]
        if not target.is_file():
            say(f"making {target.name}")
            done = subprocess.run([program, "-model", graph, "-data", place, *flags, "-o", target], capture_output=True, text=True)
            if done.returncode:
                raise ValueError(f"{target.name} cannot be made: {done.stderr.strip()}")
        made.append(target)
    return made


def source(model, variant, graphs):
    """The graph that the variant was made of."""
    for graph in graphs:
        if hashlib.sha256(graph.read_bytes()).hexdigest() == variant.source:
            return graph
    raise ValueError(f"{model}: it is a variant ({variant.name}) of a graph that is not in graphs/, sha256 {variant.source or 'not recorded'}")


def reference(variant, trained, first):
    """What a runtime is compared with: the trainer's logits, or the answer of the runtime that was asked first."""
    if variant.softmax:
        trained = trained.softmaxed()
    if variant.precision == "float32":
        return trained
    if first is None:
        return dataclasses.replace(trained, limits=LIMITS[variant.precision])
    return trained.answered(first, FIRST)


def tolerance(variant):
    return TOLERANCES.get(variant.precision, judge.TOLERANCE)
