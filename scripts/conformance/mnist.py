"""MNIST's test images, unpacked for the workers: a graph's inputs, made of the pixels once for all of them, and an IDX folder
for infer, which makes its own."""

import array
import dataclasses
import gzip
import hashlib
import os
import pathlib
import struct
import sys

from pixels import Pixels
from places import CACHE, ROOT

IMAGES = 10000
PIXELS = 28 * 28
FIRST = 64  # images of the run that is timed as a cold start


@dataclasses.dataclass
class Data:
    count: int
    labels: bytes
    folder: str = ""  # what infer's -data takes
    first: str = ""  # the same for the first FIRST images
    inputs: pathlib.Path = None  # IMAGES × 28×28 float32, little-endian, by the formula
    pixels: Pixels = None  # the formula
    shape: tuple = ()  # of an image as the graph takes it


def unpack(name, magic, header):
    path = ROOT / "dataset" / "t10k" / name
    data = gzip.decompress(path.read_bytes())
    found, count = struct.unpack(">ii", data[:8])
    if (found, count) != (magic, IMAGES):
        raise ValueError(f"{path}: magic number {found}, {count} items; want {magic}, {IMAGES}")
    return data[header:]


def replace(path, data):
    """Writes a file that another run may be reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def idx_folder(images, labels, count):
    folder = CACHE / "data" / str(count)
    replace(folder / "t10k-images-idx3-ubyte", struct.pack(">iiii", 2051, count, 28, 28) + images[: count * PIXELS])
    replace(folder / "t10k-labels-idx1-ubyte", struct.pack(">ii", 2049, count) + labels[:count])
    return str(folder / "t10k-images-idx3-ubyte")


def floats(values):
    """The values as little-endian float32."""
    data = array.array("f", values)
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


def prepare(count, pixels, shape):
    """The first count images, fed by the formula in an image's shape."""
    images = unpack("t10k-images-idx3-ubyte.gz", 2051, 16)
    labels = unpack("t10k-labels-idx1-ubyte.gz", 2049, 8)
    first = idx_folder(images, labels, min(FIRST, count))
    folder = "t10k" if count == IMAGES else idx_folder(images, labels, count)
    inputs = CACHE / "data" / f"inputs-{hashlib.sha256(floats(pixels.table)).hexdigest()[:16]}.f32"
    if not inputs.is_file() or inputs.stat().st_size != IMAGES * PIXELS * 4:
        replace(inputs, floats(map(pixels.table.__getitem__, images)))
    return Data(count, labels[:count], folder, first, inputs, pixels, shape)
