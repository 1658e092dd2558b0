"""Compares a runtime's logits with the trainer's, or with those that another runtime gave for the same model."""

import array
import dataclasses
import hashlib
import json
import math
import struct
import sys

TOLERANCE = 1e-5  # of the range (max−min) of the reference's logits, for float32


@dataclasses.dataclass(frozen=True)
class Limits:
    """What answers that are not meant to be the same may differ by."""

    difference: float  # of the range of the scores
    labels: float  # that differ, of the images
    loss: float  # of accuracy


@dataclasses.dataclass
class Reference:
    logits: array.array  # what a runtime's are compared with
    classes: int
    range: float
    file: str
    trained: list = None  # the trainer's labels, where the logits are not its own
    limits: Limits = None  # where more than rounding may be different
    owner: str = "trainer"

    def labels(self):
        return self.trained or [label(self.logits[i : i + self.classes]) for i in range(0, len(self.logits), self.classes)]

    def first_of(self, count):
        """The same of the first count images; the range stays that of all."""
        return dataclasses.replace(self, logits=self.logits[: count * self.classes], trained=self.labels()[:count])

    def softmaxed(self):
        """The same, as probabilities."""
        values = array.array("f")
        for i in range(0, len(self.logits), self.classes):
            row = self.logits[i : i + self.classes]
            powers = [math.exp(value - max(row)) for value in row]
            values.extend(power / sum(powers) for power in powers)
        return dataclasses.replace(self, logits=values, range=max(values) - min(values))

    def answered(self, logits, owner):
        """The answers of another model, or of a runtime with it, in the trainer's place; its labels stay."""
        return Reference(logits, self.classes, max(logits) - min(logits), self.file, self.labels(), owner=owner)


def floats(data):
    values = array.array("f")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def reference(model, count):
    """The trainer's logits of the first count images, from MODEL/trainer_logits.safetensors beside MODEL.onnx."""
    path = model.with_suffix("") / "trainer_logits.safetensors"
    if not path.is_file():
        raise ValueError(f"{path}: missing, so {model.name} has nothing to be compared with; export writes it")
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    tensor = header["logits"]
    images, classes = tensor["shape"]
    if tensor["dtype"] != "F32" or images < count:
        raise ValueError(f"{path}: logits are {tensor['dtype']} {tensor['shape']}, want F32 [{count} or more, classes]")
    made_for = header.get("__metadata__", {}).get("model_sha256")
    if made_for and made_for != hashlib.sha256(model.read_bytes()).hexdigest():
        raise ValueError(f"{path}: belongs to another {model.name} (model_sha256 {made_for}); export again")
    begin = 8 + length + tensor["data_offsets"][0]
    logits = floats(data[begin : begin + count * classes * 4])
    if not all(map(math.isfinite, logits)):
        raise ValueError(f"{path}: holds NaN or Inf")
    return Reference(logits, classes, max(logits) - min(logits), path.name)


def check(model, reference, data, metadata):
    """Reports pictures that are not those that the graph was tested on: its trainer answered as many right as the graph records."""
    images, accuracy = metadata.get("slipway.test_images"), metadata.get("slipway.test_accuracy")
    if images is None or accuracy is None or int(images) != data.count:
        return
    right = sum(a == b for a, b in zip(reference.labels(), data.labels))
    if right != round(float(accuracy) * data.count):
        raise ValueError(f"{model}: its trainer answers {right} of the {data.count} {data.title} right, and the graph records an accuracy of "
                         f"{accuracy}: they are not those that it was tested on")


def label(scores):
    return max(range(len(scores)), key=scores.__getitem__)


def judge(row, reference, data, tolerance=TOLERANCE):
    """Fills the row's figures in and sets its status, agrees or disagrees."""
    logits = floats(row.pop("logits"))
    reasons = row["reasons"] = []
    row["status"] = "disagrees"
    if len(logits) != len(reference.logits):
        reasons.append(f"{len(logits)} logits, the trainer gave {len(reference.logits)}")
        return
    if not all(map(math.isfinite, logits)):
        reasons.append(f"{sum(not math.isfinite(value) for value in logits)} logits are NaN or Inf")
        return
    largest = max(abs(a - b) for a, b in zip(logits, reference.logits))
    relative = largest / reference.range if reference.range else math.inf
    correct, right, changed, differ = 0, 0, [], 0
    k = reference.classes
    trained_labels = reference.labels()
    limits = reference.limits
    if limits:
        tolerance = limits.difference
    for image in range(data.count):
        scores = logits[image * k : image * k + k]
        trained = reference.logits[image * k : image * k + k]
        answer, expected = label(scores), label(trained)
        correct += answer == data.labels[image]
        right += trained_labels[image] == data.labels[image]
        differ += answer != trained_labels[image]
        if answer != expected and not limits:
            best, second = sorted(trained, reverse=True)[:2]
            margin = (best - second) / reference.range
            changed.append({"image": image, "trainer": expected, "runtime": answer, "margin": margin, "explained": margin < tolerance})
    row.update(images=data.count, accuracy=correct / data.count, labels_differ=differ, max_abs_diff=largest, max_rel_diff=relative,
               tolerance=tolerance, reference=reference.owner, reference_range=reference.range, changed_labels=changed)
    if relative > tolerance:
        reasons.append(f"largest difference is {relative:.2e} of the logits' range, tolerated {tolerance:.0e}")
    if limits and differ > round(limits.labels * data.count):
        reasons.append(f"{differ} labels are not the trainer's, {round(limits.labels * data.count)} may be")
    if limits and right - correct > round(limits.loss * data.count):
        reasons.append(f"{right - correct} answers fewer are right, {round(limits.loss * data.count)} may be")
    reasons += [f"image {c['image']}: label {c['runtime']}, the {reference.owner}'s {c['trainer']}, whose top-2 margin {c['margin']:.2e} of the range explains nothing"
                for c in changed if not c["explained"]]
    if not reasons:
        row["status"] = "agrees"
