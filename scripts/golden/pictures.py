"""Golden pictures for dataset/picture/testdata: small files of every kind, and what Pillow makes of them.

Kinds that Pillow does not write are made here (PNG of every depth, interlaced) or by changing a few bytes of
its files (JPEG of other samplings and colour spaces, GIF with a frame smaller than its canvas).
"""

import gzip
import io
import math
import json
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, features
from safetensors.numpy import save

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dataset/picture/testdata"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def scene(width, height, channels=3, seed=1):
    """Smooth colours, hard edges and a little noise: H×W×C bytes."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 110 * np.sin(x / (3 + c) + c) * np.cos(y / (4 + c)) for c in range(channels)]
    image = np.stack(planes, -1)
    image[height // 3 : height // 2, width // 4 : width // 2] = (np.array([250, 20, 60, 200]) * 1.0)[:channels]
    image[(x + y) % 11 == 0] *= 0.5
    image += generator.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def picture(width, height, mode="RGB", seed=1):
    array = scene(width, height, len(mode), seed)
    if mode in ("RGBA", "LA"):
        array[..., -1] = np.clip(array[..., -1].astype(int) * 2 - 120, 0, 255)
    if mode == "L":
        array = array[..., 0]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(array).tobytes())


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(array, depth, colour, palette=None, transparent=None, interlaced=False):
    """A PNG file of H×W×C samples of any depth."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def rows(part):
        out = b""
        for row in part:
            if row.size == 0:
                continue
            if depth == 16:
                packed = row.astype(">u2").tobytes()
            elif depth == 8:
                packed = row.astype(np.uint8).tobytes()
            else:
                bits = ((row.reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
                packed = np.packbits(bits).tobytes()
            out += b"\0" + packed
        return out

    height, width = array.shape[:2]
    if interlaced:
        passes = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)]
        raw = b"".join(rows(array[y::dy, x::dx]) for y, dy, x, dx in passes)
    else:
        raw = rows(array)
    data = b"\x89PNG\r\n\x1a\n"
    data += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced)))
    if palette is not None:
        data += chunk(b"PLTE", np.asarray(palette, np.uint8).tobytes())
    if transparent is not None:
        data += chunk(b"tRNS", transparent)
    return data + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def frame_header(data):
    """Where a JPEG's frame header begins, after its marker."""
    at = 2
    while data[at + 1] not in (0xC0, 0xC2):
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return at + 4


def resampled(data, width, height, factors):
    """A JPEG with its first component's sampling factors changed: as many blocks in other places."""
    data = bytearray(data)
    at = frame_header(data)
    data[at + 1 : at + 5] = struct.pack(">HH", height, width)
    data[at + 7] = factors
    return bytes(data)


def adobe(data, transform):
    """A JPEG with another transform in its Adobe marker, or without the marker."""
    at = data.index(b"\xff\xee\x00\x0eAdobe")
    if transform is None:
        return data[:at] + data[at + 16 :]
    return data[: at + 15] + bytes([transform]) + data[at + 16 :]


def segments(data):
    """A JPEG's segments up to its scan, which is the last: pairs of a marker and what begins with it."""
    at = 2
    while data[at + 1] != 0xDA:
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        yield data[at + 1], data[at:end]
        at = end
    yield 0xDA, data[at:-2]


def wide_quantization(data):
    """A JPEG with quantization tables of 16 bits."""
    out = data[:2]
    for marker, segment in segments(data):
        if marker == 0xDB:
            body = b""
            for at in range(4, len(segment), 65):
                body += bytes([0x10 | segment[at]]) + np.frombuffer(segment[at + 1 : at + 65], np.uint8).astype(">u2").tobytes()
            segment = b"\xff\xdb" + struct.pack(">H", len(body) + 2) + body
        elif marker == 0xC0:
            segment = b"\xff\xc1" + segment[2:]
        out += segment
    return out + b"\xff\xd9"


def scan_by_scan(planes):
    """A JPEG with each of three components in a scan of its own, of three grey JPEGs with the same tables."""
    out = b""
    for number, data in enumerate(planes, 1):
        for marker, segment in segments(data):
            if marker == 0xC0 and number == 1:
                size = segment[5:9]
                segment = b"\xff\xc0\x00\x11\x08" + size + b"\x03" + b"".join(bytes([n, 0x11, 0]) for n in (1, 2, 3))
            elif marker == 0xDA:
                segment = segment[:5] + bytes([number]) + segment[6:]
            elif number > 1:
                continue
            out += segment
    return b"\xff\xd8" + out + b"\xff\xd9"


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def jpegs():
    colour = picture(45, 35)
    yield "jpeg-444", saved(colour, "JPEG", quality=90, subsampling="4:4:4")
    yield "jpeg-422", saved(colour, "JPEG", quality=85, subsampling="4:2:2")
    yield "jpeg-420", saved(colour, "JPEG", quality=75, subsampling="4:2:0")
    yield "jpeg-420-even", saved(picture(48, 32), "JPEG", quality=95, subsampling="4:2:0")
    yield "jpeg-440", resampled(saved(picture(48, 32), "JPEG", quality=90, subsampling="4:2:2"), 23, 61, 0x12)
    yield "jpeg-411", resampled(saved(picture(48, 32), "JPEG", quality=90, subsampling="4:2:0"), 94, 13, 0x41)
    yield "jpeg-410", resampled(saved(picture(48, 32), "JPEG", quality=90, subsampling="4:2:0"), 15, 90, 0x14)
    yield "jpeg-quality-5", saved(colour, "JPEG", quality=5)
    yield "jpeg-quality-100", saved(colour, "JPEG", quality=100)
    yield "jpeg-noise", saved(Image.fromarray(np.random.default_rng(3).integers(0, 256, (29, 31, 3), np.uint8)), "JPEG", quality=92)
    yield "jpeg-progressive", saved(colour, "JPEG", quality=85, progressive=True)
    yield "jpeg-progressive-422-restarts", saved(colour, "JPEG", quality=60, progressive=True, subsampling="4:2:2", restart_marker_blocks=2)
    yield "jpeg-restarts", saved(colour, "JPEG", quality=85, restart_marker_blocks=1, optimize=True)
    yield "jpeg-grey", saved(picture(37, 41, "L"), "JPEG", quality=85)
    yield "jpeg-grey-progressive", saved(picture(37, 41, "L"), "JPEG", quality=85, progressive=True)
    yield "jpeg-quantization-16", wide_quantization(saved(colour, "JPEG", quality=70))
    yield "jpeg-scan-by-scan", scan_by_scan([saved(picture(37, 21, "L", seed=n), "JPEG", quality=80) for n in (1, 2, 3)])
    yield "jpeg-rgb", saved(colour, "JPEG", quality=85, keep_rgb=True)
    inks = saved(picture(33, 27, "CMYK"), "JPEG", quality=90)
    yield "jpeg-cmyk", inks
    yield "jpeg-cmyk-without-adobe", adobe(inks, None)
    yield "jpeg-ycck", adobe(inks, 2)
    yield "jpeg-ycck-420", adobe(saved(picture(33, 27, "CMYK"), "JPEG", quality=90, subsampling="4:2:0", progressive=True), 2)
    for width, height in [(1, 1), (2, 3), (3, 2), (4, 9), (5, 17), (6, 1)]:
        yield f"jpeg-{width}x{height}", saved(picture(width, height), "JPEG", quality=90, subsampling="4:2:0")
    for orientation in range(1, 9):
        yield f"jpeg-orientation-{orientation}", saved(picture(24, 16), "JPEG", exif=exif(orientation), quality=80)


def pngs():
    generator = np.random.default_rng(2)
    for depth in (1, 2, 4, 8, 16):
        yield f"png-grey-{depth}", png(generator.integers(0, 2**depth, (13, 19, 1)), depth, 0)
    for depth in (1, 2, 4, 8):
        palette = generator.integers(0, 256, (2**depth, 3))
        yield f"png-palette-{depth}", png(generator.integers(0, 2**depth, (13, 19, 1)), depth, 3, palette)
    palette = generator.integers(0, 256, (16, 3))
    indices = generator.integers(0, 16, (13, 19, 1))
    yield "png-palette-transparent", png(indices, 4, 3, palette, bytes([0, 40, 128, 200, 254]))
    colour = generator.integers(0, 256, (13, 19, 3))
    colour[3:6] = (10, 20, 30)
    yield "png-rgb", png(colour, 8, 2)
    yield "png-rgb-interlaced", png(colour, 8, 2, interlaced=True)
    yield "png-grey-4-interlaced", png(indices, 4, 0, interlaced=True)
    yield "png-rgb-key", png(colour, 8, 2, transparent=struct.pack(">HHH", 10, 20, 30))
    yield "png-grey-key", png(indices * 16, 8, 0, transparent=struct.pack(">H", 32))
    yield "png-rgb-16", png(generator.integers(0, 65536, (13, 19, 3)), 16, 2)
    yield "png-rgba", saved(picture(31, 17, "RGBA"), "PNG")
    yield "png-rgba-16", png(generator.integers(0, 65536, (13, 19, 4)), 16, 6)
    yield "png-grey-alpha", saved(picture(31, 17, "LA"), "PNG")
    yield "png-orientation", saved(picture(24, 16), "PNG", exif=exif(6))
    yield "png-1x1", png(colour[:1, :1], 8, 2)


def gifs():
    quantized = picture(31, 23).quantize(32)
    yield "gif", saved(quantized, "GIF")
    yield "gif-sequential", saved(quantized, "GIF", interlace=0)
    yield "gif-transparent", saved(quantized, "GIF", transparency=3)
    frames = [picture(31, 23, seed=n).quantize(16) for n in (4, 5)]
    yield "gif-animated", saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    for name, data in [("gif-canvas", saved(quantized, "GIF")), ("gif-canvas-transparent", saved(quantized, "GIF", transparency=3))]:
        data = bytearray(data)
        data[6:10] = struct.pack("<HH", 40, 30)
        at = data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 31, 23))
        data[at + 1 : at + 5] = struct.pack("<HH", 5, 4)
        yield name, bytes(data)


def others():
    colour, grey = picture(31, 23), picture(31, 23, "L")
    for kind in ("BMP", "TIFF"):
        yield f"{kind.lower()}-rgb", saved(colour, kind)
        yield f"{kind.lower()}-grey", saved(grey, kind)
        yield f"{kind.lower()}-palette", saved(colour.quantize(40), kind)
        yield f"{kind.lower()}-1", saved(grey.convert("1"), kind)
        yield f"{kind.lower()}-rgba", saved(picture(31, 23, "RGBA"), kind)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield f"tiff-{compression.removeprefix('tiff_')}", saved(colour, "TIFF", compression=compression)
    yield "tiff-grey-16", saved(Image.fromarray(np.random.default_rng(6).integers(0, 65536, (9, 14), np.uint16)), "TIFF")
    yield "tiff-orientation", saved(colour, "TIFF", tiffinfo={0x0112: 8})
    yield "webp-lossy", saved(colour, "WEBP", quality=80)
    yield "webp-lossy-even", saved(picture(32, 24), "WEBP", quality=30)
    yield "webp-lossy-1x1", saved(picture(1, 1), "WEBP", quality=80)
    yield "webp-lossy-alpha", saved(picture(31, 23, "RGBA"), "WEBP", quality=70)
    yield "webp-lossless", saved(colour, "WEBP", lossless=True)
    yield "webp-lossless-alpha", saved(picture(31, 23, "RGBA"), "WEBP", lossless=True)
    yield "webp-lossless-alpha-orientation", saved(picture(31, 23, "RGBA"), "WEBP", lossless=True, exif=exif(7))
    yield "webp-lossy-orientation", saved(colour, "WEBP", exif=exif(3))
    frames = [picture(26, 20, "RGBA", seed=n) for n in (7, 8)]
    yield "webp-animated", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)


def planes(image):
    array = np.asarray(image)
    return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def decoded(data, name):
    """What Pillow makes of a file: upright, on white, C×H×W."""
    image = Image.open(io.BytesIO(data))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # Pillow would cut off at 255 what is above: the upper byte is the picture.
        return planes((np.asarray(image) >> 8).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA") and not name.startswith("gif") and name not in ("bmp-grey", "bmp-1")
    if "transparency" in image.info or image.mode in ("LA", "RGBA", "PA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        image = image.convert("RGB")
        if grey:
            image = image.getchannel(0)
    return planes(image.convert("L" if grey else "RGB"))


def resizes(tensors):
    """What Pillow makes of one picture in other sizes; the settings are in the names."""
    source = scene(53, 41)
    tensors["resize/source"] = planes(source)
    image = Image.fromarray(source)
    cases = [(24, 24, None), (41, 53, None), (20, 53, None), (41, 30, None), (100, 90, None), (1, 1, None), (7, 120, None), (3, 2, None)]
    cases += [(24, 24, (5.5, 3.25, 40.75, 33.1)), (41, 53, (0.3, 0, 53, 41)), (16, 16, (10, 10, 26, 26)), (30, 31, (51.5, 39.5, 53, 41)), (8, 8, (20, 20, 20.5, 20.25))]
    for height, width, box in cases:
        for name, method in FILTERS.items():
            place = ",".join(str(v) for v in box or (0, 0, 53, 41))
            tensors[f"resize/{height}/{width}/{name}/{place}"] = planes(image.resize((width, height), method, box=box))


def cropped(image, height, width, method, share=1):
    """torchvision's Resize and CenterCrop; for sides that differ, Resize to cover both. The sides to cover are those of which
    the crop is a share, rounded down as timm does: with 224 and 0.875 it is Resize(256) and CenterCrop(224)."""
    covered_height, covered_width = math.floor(height / share), math.floor(width / share)
    if image.width * covered_height >= image.height * covered_width:
        size = (image.width * covered_height // image.height, covered_height)
    else:
        size = (covered_width, image.height * covered_width // image.width)
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return image.resize(size, method).crop((left, top, left + width, top + height))


def sizings(tensors):
    for name, (w, h) in {"wide": (53, 30), "tall": (28, 61), "square": (33, 33), "thin": (64, 2)}.items():
        image = Image.fromarray(scene(w, h))
        tensors[f"size/{name}"] = planes(np.asarray(image))
        for height, width in [(24, 24), (25, 32), (40, 19), (64, 64)]:
            for filter_name, method in FILTERS.items():
                made = {
                    "crop": cropped(image, height, width, method),
                    "crop=0.875": cropped(image, height, width, method, 0.875),
                    "crop=0.6": cropped(image, height, width, method, 0.6),
                    "pad": ImageOps.pad(image, (width, height), method),
                    "squash": image.resize((width, height), method),
                }
                for fit, result in made.items():
                    tensors[f"size/{name}/resize {height}×{width} {fit} {filter_name}"] = planes(result)


def main():
    files, tensors = FOLDER / "pictures", {}
    files.mkdir(parents=True, exist_ok=True)
    for old in files.iterdir():
        old.unlink()
    count = 0
    for kinds in (jpegs, pngs, gifs, others):
        for name, data in kinds():
            (files / name).write_bytes(data)
            tensors[f"decoded/{name}"] = decoded(data, name)
            count += 1
    tensors["grey/jpeg-420"] = planes(Image.open(io.BytesIO((files / "jpeg-420").read_bytes())).convert("L"))
    for name, colour in [("png-rgba", (200, 30, 90)), ("webp-lossless-alpha", (0, 0, 0))]:
        image = Image.open(io.BytesIO((files / name).read_bytes())).convert("RGBA")
        result = Image.alpha_composite(Image.new("RGBA", image.size, colour), image).convert("RGB")
        tensors[f"background/{name}/#{bytes(colour).hex()}"] = planes(result)
    resizes(tensors)
    sizings(tensors)
    facts = {"generator": "scripts/golden/make-golden", "pillow": PIL.__version__, "libjpeg_turbo": features.version_feature("libjpeg_turbo")}
    raw = save({key: np.ascontiguousarray(value, np.uint8) for key, value in sorted(tensors.items())}, {"golden": json.dumps(facts)})
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=9) as f:
        f.write(raw)
    (FOLDER / "golden.safetensors.gz").write_bytes(packed.getvalue())
    total = sum(f.stat().st_size for f in files.iterdir())
    print(f"{count} pictures of {total} bytes, {len(tensors)} arrays in {len(packed.getvalue())} bytes")


if __name__ == "__main__":
    main()
