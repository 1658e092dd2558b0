"""Test sets, unpacked for the workers: a graph's inputs, made of the pixels once for all of them, and a folder for infer, which makes
its own."""

import array
import dataclasses
import gzip
import hashlib
import math
import os
import pathlib
import struct
import subprocess
import sys

from pixels import Input, Pixels
from places import CACHE, ROOT

FIRST = 64  # images of the run that is timed as a cold start
TYPES = {8: "B", 12: "i"}  # of IDX: unsigned bytes, and integers of four


@dataclasses.dataclass(frozen=True)
class Images:
    """Labelled images: their bytes, N×C×H×W. title names the set in the table; place is what infer's -data takes for all of them."""

    title: str
    shape: tuple  # C, H, W
    bytes: bytes
    labels: tuple
    place: str

    def size(self):
        return math.prod(self.shape)


@dataclasses.dataclass
class Data:
    count: int
    labels: tuple
    title: str = ""  # the set's
    digest: str = ""  # of the pixels and labels
    folder: str = ""  # what infer's -data takes
    first: str = ""  # the same for the first FIRST images
    inputs: pathlib.Path = None  # all images by the formula: float32, little-endian (.f32), or the pixels themselves (.u8)
    pixels: Pixels = None  # the formula
    taken: Input = None  # how the graph takes images
    images: Images = None

    def first_of(self, count):
        """The first count images of these."""
        return dataclasses.replace(self, count=count, labels=self.labels[:count], folder=idx_folder(self.images, count))


def mnist():
    """MNIST's 10,000 test images."""
    folder = ROOT / "dataset" / "t10k"
    shape, pixels = idx(gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes()))
    _, labels = idx(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes()))
    return Images("MNIST's test images", (1, *shape[1:]), pixels, tuple(labels), "t10k")


def opened(folder, sizing=""):
    """The IDX files in a folder, or its pictures, brought to one size as a graph's metadata says it: "resize 64×64 crop bilinear"."""
    folder = folder.resolve()
    file = next(iter(sorted(folder.glob("*-images-idx*-ubyte"))), None)
    if file is None:
        return pictures(folder, sizing)
    shape, pixels = idx(file.read_bytes())
    beside = folder / f"{file.name.split('-images-')[0]}-labels-idx1-ubyte"
    if not beside.is_file():
        raise ValueError(f"{file}: its labels, {beside.name}, are missing")
    _, labels = idx(beside.read_bytes())
    return labelled(f"images of {folder.name}", shape, pixels, labels, str(file))


def labelled(title, shape, pixels, labels, place):
    shape = shape[1:] if len(shape) == 4 else (1, *shape[1:])
    if len(labels) * math.prod(shape) != len(pixels):
        raise ValueError(f"{title}: {len(labels)} labels for {len(pixels)} bytes of images of {shape}")
    return Images(title, shape, pixels, tuple(labels), place)


def flags(sizing):
    """What dataset pack is told of a sizing."""
    if not sizing:
        return []
    words = sizing.split()
    if len(words) != 4 or words[0] != "resize":
        raise ValueError(f"the graph's sizing is {sizing!r}, which is not known here: resize HEIGHT×WIDTH FIT FILTER")
    return ["-resize", words[1].replace("×", "x"), "-fit", words[2], "-filter", words[3]]


def pictures(folder, sizing=""):
    """Pictures in a folder for each class, decoded and brought to one size by the product's own command; infer does so again by itself."""
    program, folder = ROOT / "bin" / "dataset", folder.resolve()
    if not program.is_file():
        raise ValueError("bin/dataset is not built: make build")
    target = CACHE / "data" / f"pictures-{os.getpid()}"
    done = subprocess.run([program, "pack", "-format", "idx", *flags(sizing), "-o", target, folder], capture_output=True, text=True)
    try:
        if done.returncode:
            raise ValueError(f"{folder}: {done.stderr.strip()}")
        found = opened(target)
    finally:
        for file in target.glob("*"):
            file.unlink()
        if target.is_dir():
            target.rmdir()
    return dataclasses.replace(found, title=f"the pictures of {folder.parent.name}/{folder.name}", place=str(folder))


def idx(data):
    """The shape and the values of an IDX file; bytes are left as they are."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES:
        raise ValueError("no IDX file of bytes or integers")
    shape = struct.unpack_from(f">{data[3]}i", data, 4)
    values = array.array(TYPES[data[2]], data[4 + 4 * data[3]:])
    if len(values) != math.prod(shape):
        raise ValueError(f"an IDX file of {shape} with {len(values)} values")
    if values.itemsize == 1:
        return shape, values.tobytes()
    if sys.byteorder == "little":
        values.byteswap()
    return shape, values


def replace(path, data):
    """Writes a file that another run may be reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def digest(images):
    labels = struct.pack(f">{len(images.labels)}i", *images.labels)
    return hashlib.sha256(repr(images.shape).encode() + labels + images.bytes).hexdigest()


def idx_folder(images, count):
    """The first count images as IDX files. infer finds the labels beside the images."""
    folder = CACHE / "data" / f"{digest(images)[:16]}-{count}"
    shape = images.shape[1:] if images.shape[0] == 1 else images.shape
    name = f"t10k-images-idx{1 + len(shape)}-ubyte"
    labels = images.labels[:count]
    packed = struct.pack(">ii", 2049, count) + bytes(labels) if max(labels) < 256 else struct.pack(f">ii{count}i", 0xC01, count, *labels)
    replace(folder / "t10k-labels-idx1-ubyte", packed)
    replace(folder / name, struct.pack(f">{2 + len(shape)}i", 2049 + len(shape), count, *shape) + images.bytes[: count * images.size()])
    return str(folder / name)


def floats(values):
    """The values as little-endian float32."""
    data = array.array("f", values)
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


def fed(images, pixels):
    """All images by the formula, each channel by its own table where the formula has one for each."""
    if len(pixels.tables) == 1:
        return floats(map(pixels.tables[0].__getitem__, images.bytes))
    plane = math.prod(images.shape[1:])
    parts = []
    for begin in range(0, len(images.bytes), plane):
        table = pixels.tables[begin // plane % images.shape[0]]
        parts.append(floats(map(table.__getitem__, images.bytes[begin : begin + plane])))
    return b"".join(parts)


def prepare(images, count, pixels, taken):
    """The first count images, fed by the formula as the graph takes them."""
    if math.prod(taken.shape) != images.size():
        raise ValueError(f"the graph takes images of {taken.shape}; the {images.title} are {images.shape}")
    if images.shape[0] > 1 and taken.shape != images.shape:
        raise ValueError(f"the graph takes images of {taken.shape}; coloured ones are fed channels first, {images.shape}")
    if len(pixels.tables) not in (1, images.shape[0]):
        raise ValueError(f"the graph scales {len(pixels.tables)} channels, the {images.title} have {images.shape[0]}")
    first = idx_folder(images, min(FIRST, count))
    folder = images.place if count == len(images.labels) else idx_folder(images, count)
    known = digest(images)
    if taken.type == "uint8":
        if pixels.tables != (tuple(range(256)),):
            raise ValueError(f"a graph that takes uint8 is fed the pixels as they are, not {pixels.name}")
        inputs, width = CACHE / "data" / f"inputs-{known[:16]}.u8", 1
    else:
        rule = hashlib.sha256(b"".join(map(floats, pixels.tables))).hexdigest()
        inputs, width = CACHE / "data" / f"inputs-{known[:16]}-{rule[:16]}.f32", 4
    if not inputs.is_file() or inputs.stat().st_size != len(images.bytes) * width:
        replace(inputs, images.bytes if width == 1 else fed(images, pixels))
    return Data(count, images.labels[:count], images.title, known, folder, first, inputs, pixels, taken, images)
