"""What the three frameworks' scripts share: MNIST, and how a model and its framework's own answers are written.

Beside NAME.onnx, NAME.json says which framework and exporter made it, how pixels x of 0…255 are fed (pixels), which output
holds the scores, how many of MNIST's 10000 test images the framework itself answers right before the export (correct), and
its answer to each of them, 100 digits a line (predictions).
"""

import gzip
import json
import pathlib
import struct
import sys

import numpy as np
import onnx

SEED = 1
BATCH = 64
TARGET = pathlib.Path(__file__).resolve().parents[2] / "infer" / "testdata" / "foreign"


def idx(path, magic, rank):
    data = gzip.decompress(path.read_bytes())
    found, *shape = struct.unpack(f">{rank + 1}i", data[: 4 * (rank + 1)])
    if found != magic:
        raise ValueError(f"{path}: magic number {found}, want {magic}")
    return np.frombuffer(data, np.uint8, offset=4 * (rank + 1)).reshape(shape)


def mnist(part):
    """The images, N×28×28 bytes, and the labels, N, of "train" or "t10k", from the folder in the first argument."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FOLDER, with MNIST's four .gz files; scripts/foreign/make-foreign gives it")
    folder = pathlib.Path(sys.argv[1])
    return idx(folder / f"{part}-images-idx3-ubyte.gz", 2051, 3), idx(folder / f"{part}-labels-idx1-ubyte.gz", 2049, 1)


def shuffled(count):
    """The batches of one epoch."""
    order = np.random.default_rng(SEED).permutation(count)
    return [order[begin : begin + BATCH] for begin in range(0, count, BATCH)]


def write(name, model, predictions, **facts):
    """Writes the model and the framework's answers. Notes of an exporter on where its source lay are left out."""
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.checker.check_model(model, full_check=True)
    TARGET.mkdir(parents=True, exist_ok=True)
    path = TARGET / f"{name}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    _, labels = mnist("t10k")
    digits = "".join(str(int(digit)) for digit in predictions)
    record = {
        **facts,
        "images": len(labels),
        "correct": int((np.asarray(predictions) == labels).sum()),
        "predictions": [digits[begin : begin + 100] for begin in range(0, len(digits), 100)],
    }
    path.with_suffix(".json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    operators = " ".join(node.op_type for node in model.graph.node)
    print(f"{name}: {path.stat().st_size} bytes, {record['correct']} of {record['images']} right; {operators}")
