"""MNIST's test images, unpacked for the workers: raw pixels, and an IDX folder for infer."""

import dataclasses
import gzip
import pathlib
import struct

from places import CACHE, ROOT

IMAGES = 10000
PIXELS = 28 * 28
FIRST = 64  # images of the run that is timed as a cold start


@dataclasses.dataclass
class Data:
    count: int
    pixels: pathlib.Path  # count × 28 × 28 bytes
    labels: bytes
    folder: str  # what infer's -data takes
    first: str  # the same for the first FIRST images


def unpack(name, magic, header):
    path = ROOT / "dataset" / "t10k" / name
    data = gzip.decompress(path.read_bytes())
    found, count = struct.unpack(">ii", data[:8])
    if (found, count) != (magic, IMAGES):
        raise ValueError(f"{path}: magic number {found}, {count} items; want {magic}, {IMAGES}")
    return data[header:]


def idx_folder(pixels, labels, count):
    folder = CACHE / "data" / str(count)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "t10k-images-idx3-ubyte").write_bytes(struct.pack(">iiii", 2051, count, 28, 28) + pixels[: count * PIXELS])
    (folder / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, count) + labels[:count])
    return str(folder / "t10k-images-idx3-ubyte")


def prepare(count):
    pixels = unpack("t10k-images-idx3-ubyte.gz", 2051, 16)
    labels = unpack("t10k-labels-idx1-ubyte.gz", 2049, 8)
    first = idx_folder(pixels, labels, min(FIRST, count))
    folder = "t10k" if count == IMAGES else idx_folder(pixels, labels, count)
    raw = CACHE / "data" / "pixels.bin"
    raw.write_bytes(pixels)
    return Data(count, raw, labels[:count], folder, first)
