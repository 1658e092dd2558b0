"""Golden images for dataset/augment/testdata: what Pillow makes of four images for given factors, angles and parts.

Where torchvision works on Pillow's images it calls these functions of Pillow; the matrices and tables that are its own
are written out here, after their formulas (transforms/functional.py and autoaugment.py of torchvision 0.29). A name says
what was done: IMAGE/FUNCTION/ARGUMENTS.
"""

import gzip
import io
import json
import math
import pathlib

import numpy as np
import PIL
from PIL import Image, ImageEnhance, ImageOps
from safetensors.numpy import save

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE = ROOT / "dataset/augment/testdata/golden.safetensors.gz"


def scene(width, height, channels, seed):
    """Smooth colours, hard edges and a little noise: H×W×C bytes."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([127 + 110 * np.sin(x / (3 + c) + c) * np.cos(y / (4 + c)) for c in range(channels)], -1)
    image[height // 3 : height // 2, width // 4 : width // 2] = np.array([250, 20, 60])[:channels]
    image[(x + y) % 11 == 0] *= 0.5
    image += generator.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def images():
    yield "colour", Image.fromarray(scene(19, 14, 3, 1))
    yield "grey", Image.fromarray(scene(16, 16, 1, 2)[..., 0])
    yield "thin", Image.fromarray(scene(7, 1, 3, 3))
    yield "pixel", Image.fromarray(np.array([[[200, 30, 90]]], np.uint8))
    yield "flat", Image.fromarray(np.full((9, 8), 77, np.uint8))
    yield "dark", Image.fromarray((scene(13, 20, 3, 4) // 5 + 20).astype(np.uint8))


def all_colours():
    """Every 36th level of each channel, and their neighbours: all branches of HSV."""
    levels = sorted({min(max(v + d, 0), 255) for v in range(0, 256, 36) for d in (0, 1)})
    array = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(len(levels), -1, 3)
    return Image.fromarray(np.ascontiguousarray(array, np.uint8))


def inverse(centre, angle, translate, scale, shear):
    """torchvision's _get_inverse_affine_matrix: M = T·C·R·S·SHy·SHx·C⁻¹, inverted."""
    turn, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(turn - sy) / math.cos(sy)
    b = -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    m = [v / scale for v in (d, -b, 0.0, -c, a, 0.0)]
    x, y = -centre[0] - translate[0], -centre[1] - translate[1]
    m[2] += m[0] * x + m[1] * y + centre[0]
    m[5] += m[3] * x + m[4] * y + centre[1]
    return m


def affine(image, angle, translate, scale, shear, centre=None, method=Image.Resampling.NEAREST):
    centre = centre or (image.width * 0.5, image.height * 0.5)
    matrix = inverse(centre, angle, translate, scale, shear)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, method, fillcolor=(0,) * len(image.getbands()))


def adjust_hue(image, factor):
    if image.mode == "L":
        return image
    h, s, v = image.convert("HSV").split()
    array = np.array(h, np.uint8)
    array += np.int32(factor * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(array), s, v)).convert("RGB")


def cases(image):
    """Yields (function, arguments, result)."""
    yield "mirror", (), ImageOps.mirror(image)
    yield "flip", (), ImageOps.flip(image)
    if image.mode == "RGB":
        yield "grey", (), image.convert("L").convert("RGB")
    for factor in (0.0, 0.37, 0.6, 1.0, 1.3, 1.99, 4.0):
        yield "brightness", (factor,), ImageEnhance.Brightness(image).enhance(factor)
        yield "contrast", (factor,), ImageEnhance.Contrast(image).enhance(factor)
        yield "saturation", (factor,), ImageEnhance.Color(image).enhance(factor)
        yield "sharpness", (factor,), ImageEnhance.Sharpness(image).enhance(factor)
    for factor in (-0.5, -0.21, -0.003, 0.0, 0.1, 0.33, 0.5):
        yield "hue", (factor,), adjust_hue(image, factor)
    for bits in range(1, 9):
        yield "posterize", (bits,), ImageOps.posterize(image, bits)
    for threshold in (0.0, 8.5, 128.0, 178.5, 255.0):
        yield "solarize", (threshold,), ImageOps.solarize(image, threshold)
    yield "autocontrast", (), ImageOps.autocontrast(image)
    yield "equalize", (), ImageOps.equalize(image)
    for degrees in (-135.0, -90.0, -30.0, -9.0, 1.0, 4.5, 45.0, 90.0, 126.0):
        yield "rotate", (degrees,), image.rotate(degrees, Image.Resampling.NEAREST)
    for magnitude in (-0.99, -0.3, -0.09, 0.01, 0.297, 0.9):
        angle = math.degrees(math.atan(magnitude))
        yield "shear-x", (magnitude,), affine(image, 0, (0, 0), 1, (angle, 0), (0, 0))
        yield "shear-y", (magnitude,), affine(image, 0, (0, 0), 1, (0, angle), (0, 0))
    for distance in (-32, -5, 0, 1, 3, 14):
        yield "translate-x", (distance,), affine(image, 0, (distance, 0), 1, (0, 0))
        yield "translate-y", (distance,), affine(image, 0, (0, distance), 1, (0, 0))
    for arguments in [
        (0.0, 0, 0, 0.8, 0.0), (0.0, 0, 0, 1.1, 0.0), (0.0, 0, 0, 3.7, 0.0), (10.0, 0, 0, 1.0, 0.0), (-33.3, 2, -1, 1.0, 0.0),
        (90.0, 0, 0, 1.0, 0.0), (0.0, 3, 5, 1.0, 0.0), (7.5, -2, 1, 0.93, 12.0), (-170.0, 0, 4, 1.31, -20.0),
    ]:  # fmt: skip
        angle, right, down, scale, shear = arguments
        yield "affine", arguments, affine(image, angle, (right, down), scale, (shear, 0.0), method=Image.Resampling.BILINEAR)


def crops(image):
    """torchvision's resized_crop: (left, top, height, width) of the picture, made 20×24."""
    for left, top, height, width in [(0, 0, 40, 40), (3, 5, 20, 24), (7, 11, 13, 9), (1, 0, 39, 24), (20, 30, 1, 1), (10, 2, 20, 30), (0, 0, 40, 3)]:
        part = image.crop((left, top, left + width, top + height))
        for name in ("bilinear", "bicubic"):
            yield "crop", (left, top, height, width, name), part.resize((24, 20), Image.Resampling[name.upper()])


def planes(image):
    array = np.asarray(image)
    return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def main():
    tensors = {}

    def add(name, made):
        for function, arguments, result in made:
            key = "/".join([name, function, *(str(a) for a in arguments)])
            assert key not in tensors, key
            tensors[key] = planes(result)

    for name, image in images():
        tensors[name] = planes(image)
        add(name, cases(image))
    picture = Image.fromarray(scene(40, 40, 3, 5))
    tensors["picture"] = planes(picture)
    add("picture", crops(picture))
    colours = all_colours()
    tensors["colours"] = planes(colours)
    add("colours", (("hue", (f,), adjust_hue(colours, f)) for f in (0.0, 0.1, -0.4)))
    facts = {"generator": "scripts/golden/make-golden augmentations", "pillow": PIL.__version__}
    raw = save({key: value for key, value in sorted(tensors.items())}, {"golden": json.dumps(facts)})
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=9) as f:
        f.write(raw)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_bytes(packed.getvalue())
    print(f"{len(tensors)} arrays in {len(packed.getvalue())} bytes")


if __name__ == "__main__":
    main()
