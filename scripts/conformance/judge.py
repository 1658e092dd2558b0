"""Compares a runtime's logits with the trainer's."""

import array
import dataclasses
import hashlib
import json
import math
import struct
import sys

TOLERANCE = 1e-5  # of the range (max−min) of the reference's logits, for float32


@dataclasses.dataclass
class Reference:
    logits: array.array
    classes: int
    range: float
    file: str


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
    correct, changed = 0, []
    k = reference.classes
    for image in range(data.count):
        scores = logits[image * k : image * k + k]
        trained = reference.logits[image * k : image * k + k]
        answer, expected = label(scores), label(trained)
        correct += answer == data.labels[image]
        if answer != expected:
            best, second = sorted(trained, reverse=True)[:2]
            margin = (best - second) / reference.range
            changed.append({"image": image, "trainer": expected, "runtime": answer, "margin": margin, "explained": margin < tolerance})
    row.update(images=data.count, accuracy=correct / data.count, labels_differ=len(changed), max_abs_diff=largest,
               max_rel_diff=relative, tolerance=tolerance, reference_range=reference.range, changed_labels=changed)
    if relative > tolerance:
        reasons.append(f"largest difference is {relative:.2e} of the logits' range, tolerated {tolerance:.0e}")
    reasons += [f"image {c['image']}: label {c['runtime']}, the trainer's {c['trainer']}, whose top-2 margin {c['margin']:.2e} of the range explains nothing"
                for c in changed if not c["explained"]]
    if not reasons:
        row["status"] = "agrees"
