"""Golden values of the corruptions, for dataset/corrupt/testdata, by SciPy and scikit-image from the formulas alone.

What has no chance in it is kept as images, one for each side that chance may choose; noise is kept as the mean and
the standard deviation of many draws on images of one grey.
"""

import gzip
import io
import json
import pathlib

import numpy as np
from safetensors.numpy import save
from scipy import ndimage
from skimage.filters import gaussian
from skimage.transform import AffineTransform, warp
from skimage.util import random_noise

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dataset/corrupt/testdata"
STRENGTHS = range(1, 6)
DIRECTIONS = 0, 5, 23, 32, 50  # of motion blur's 64


def digits(indices):
    with gzip.open(ROOT / "dataset/t10k/t10k-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return pixels[indices]


def to_bytes(x):
    return np.clip(np.floor(x + 0.5), 0, 255).astype(np.uint8)


def planes(images, change):
    """Applies a function of one H×W plane in float64 to every channel of every image."""
    flat = images.reshape(-1, *images.shape[2:]).astype(np.float64)
    return to_bytes(np.stack([change(plane) for plane in flat]).reshape(images.shape))


def affine(matrix, shift=(0, 0)):
    def change(plane):
        height, width = plane.shape
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        whole = np.eye(3)
        whole[:2, :2] = matrix
        whole[:2, 2] = centre - np.array(matrix) @ centre + shift
        return warp(plane, inverse_map=AffineTransform(matrix=whole), order=1, mode="constant", cval=0, preserve_range=True)

    return change


def rotation(angle):
    return [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]


def disc(square, unit):
    y, x = np.mgrid[-9:10, -9:10]
    return x**2 + y**2 <= square * unit**2 + 1e-9


def morphology(filter, weight, square, unit, outside):
    def change(plane):
        extreme = filter(plane, footprint=disc(square, unit), mode="constant", cval=outside)
        return plane + weight * (extreme - plane)

    return change


def motion(n, angle):
    def change(plane):
        moves = [(-k / 2 * np.sin(angle), -k / 2 * np.cos(angle)) for k in range(-n, n + 1)]
        return np.mean([ndimage.shift(plane, move, order=1, mode="grid-constant", cval=0) for move in moves], axis=0)

    return change


def variants(strength, unit):
    """Yields (name, variant, function of a plane)."""
    k = strength - 1
    sigma = strength / 2 * unit
    yield "gaussian-blur", "", lambda p: ndimage.gaussian_filter(p, sigma, mode="nearest", truncate=4)
    for direction in DIRECTIONS:
        yield "motion-blur", str(direction), motion(round(2 * unit * (2 * strength + 1)) // 2, np.pi * direction / 64)
    stretch = 1 / [0.9, 0.8, 0.7, 0.6, 0.5][k]
    yield "scale", "", affine([[stretch, 0], [0, stretch]])
    for side in [-1, 1]:
        yield "rotate", str(side), affine(rotation(side * [0.2, 0.4, 0.6, 0.8, 1][k]))
        yield "shear", str(side), affine([[1, -side * [0.2, 0.4, 0.6, 0.8, 1][k]], [0, 1]])
        for other in [-1, 1]:
            yield "shift", f"{side},{other}", affine(np.eye(2), (side * strength * unit, other * strength * unit))
    yield "brightness", "", lambda p: p + 255 * [0.1, 0.2, 0.3, 0.4, 0.5][k]
    yield "contrast", "", lambda p: p.mean() + [0.4, 0.3, 0.2, 0.1, 0.05][k] * (p - p.mean())
    weight, square = [(0.5, 1), (1, 1), (1, 2), (1, 4), (1, 5)][k]
    yield "thicken", "", morphology(ndimage.grey_dilation, weight, square, unit, 0)
    weight, square = [(0.25, 1), (0.5, 1), (0.75, 1), (1, 1), (1, 2)][k]
    yield "thin", "", morphology(ndimage.grey_erosion, weight, square, unit, 255)


def write_images():
    generator = np.random.default_rng(1)
    sets = {"digits": digits([18, 61]), "colour": generator.integers(0, 256, (1, 3, 42, 45), dtype=np.uint8)}
    tensors = {}
    for which, images in sets.items():
        tensors[which] = images
        for strength in STRENGTHS:
            for name, variant, change in variants(strength, min(images.shape[2:]) / 28):
                if which == "colour" and strength != 4:
                    continue  # noise does not compress
                tensors[f"{which}/{name}:{strength}/{variant}"] = planes(images, change)
    raw = save({key: np.ascontiguousarray(value) for key, value in sorted(tensors.items())})
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=9) as f:
        f.write(raw)
    (FOLDER / "images.safetensors.gz").write_bytes(packed.getvalue())
    print(f"{len(tensors)} arrays, {len(packed.getvalue())} bytes")


def spatter(generator, shape, parameters):
    sigma, threshold, smoothing = parameters
    liquid = gaussian(generator.normal(0.65, 0.3, shape), sigma=sigma, mode="nearest")
    m = gaussian((liquid > threshold).astype(np.float64), sigma=smoothing, mode="nearest")
    m[m < 0.8] = 0
    return to_bytes(63 * m)


def noise(name, strength, grey, generator, n):
    k = strength - 1
    x = np.full(n, grey / 255)
    if name == "gaussian-noise":
        return random_noise(x, mode="gaussian", var=[0.08, 0.12, 0.18, 0.26, 0.38][k] ** 2, rng=generator)
    if name == "shot-noise":
        photons = [60, 25, 12, 5, 3][k]
        return np.clip(generator.poisson(x * photons) / photons, 0, 1)
    return random_noise(x, mode="s&p", amount=[0.03, 0.06, 0.09, 0.17, 0.27][k], rng=generator)


def write_noise():
    generator = np.random.default_rng(2)
    n = 500_000
    facts = []
    for strength in STRENGTHS:
        for name in ["gaussian-noise", "shot-noise", "impulse-noise"]:
            for grey in [0, 40, 128, 220, 255]:
                draws = to_bytes(255 * noise(name, strength, grey, generator, n)).astype(np.float64)
                facts.append(dict(name=name, strength=strength, grey=grey, n=n, mean=draws.mean(), std=draws.std()))
        parameters = [(4, 0.69, 0.6), (3, 0.68, 0.6), (2, 0.68, 0.5), (2, 0.665, 0.5), (2, 0.65, 0.5)][strength - 1]
        images = 4000
        means = np.array([spatter(generator, (28, 28), parameters).mean() for _ in range(images)])
        facts.append(dict(name="spatter", strength=strength, grey=0, n=images, mean=means.mean(), std=means.std()))
    (FOLDER / "noise.json").write_text(json.dumps(facts, indent=0) + "\n")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    write_images()
    write_noise()
