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

from pixels import Input, Pixels
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
    inputs: pathlib.Path = None  # IMAGES × 28×28 by the formula: float32, little-endian (.f32), or the pixels themselves (.u8)
    pixels: Pixels = None  # the formula
    taken: Input = None  # how the graph takes images

    def first_of(self, count):
        """The first count images of these."""
        images = unpack("t10k-images-idx3-ubyte.gz", 2051, 16)
        return dataclasses.replace(self, count=count, labels=self.labels[:count], folder=idx_folder(images, self.labels, count))


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


def prepare(count, pixels, taken):
    """The first count images, fed by the formula as the graph takes them."""
    images = unpack("t10k-images-idx3-ubyte.gz", 2051, 16)
    labels = unpack("t10k-labels-idx1-ubyte.gz", 2049, 8)
    first = idx_folder(images, labels, min(FIRST, count))
    folder = "t10k" if count == IMAGES else idx_folder(images, labels, count)
    if taken.type == "uint8":
        if pixels.table != tuple(range(256)):
            raise ValueError(f"a graph that takes uint8 is fed the pixels as they are, not {pixels.name}")
        inputs, width = CACHE / "data" / "inputs.u8", 1
    else:
        inputs, width = CACHE / "data" / f"inputs-{hashlib.sha256(floats(pixels.table)).hexdigest()[:16]}.f32", 4
    if not inputs.is_file() or inputs.stat().st_size != IMAGES * PIXELS * width:
        replace(inputs, images if width == 1 else floats(map(pixels.table.__getitem__, images)))
    return Data(count, labels[:count], folder, first, inputs, pixels, taken)
