"""How a graph wants its images: the formula that makes inputs of pixels, which its metadata records, and an image's shape."""

import dataclasses
import math
import struct

TYPES = {1: "float32", 2: "uint8"}  # of ONNX's element types


@dataclasses.dataclass(frozen=True)
class Pixels:
    """name is the formula, x being a pixel of 0…255; tables has its float32 value for each x, one for all channels or one for each;
    flags make `infer` use it, too."""

    name: str
    tables: tuple
    flags: tuple = ()


def single(value):
    """value rounded to float32. Of +, −, × and ÷ on two of float32 that is what float32 arithmetic gives, as Slipway computes."""
    return struct.unpack("f", struct.pack("f", value))[0]


RAW = Pixels("x", (tuple(map(float, range(256))),))


def unit():
    return Pixels("x/255", (tuple(single(x / 255) for x in range(256)),))


def standard(mean, deviation):
    try:
        m, s = single(mean), single(deviation)
        table = tuple(single(single(single(x / 255) - m) / s) for x in range(256))
        if not s > 0 or not all(map(math.isfinite, (m, s, *table))):
            raise ValueError
    except (OverflowError, ValueError, ZeroDivisionError):
        raise ValueError(f"mean {mean!r}, standard deviation {deviation!r}: both must be finite, the deviation over 0") from None
    return Pixels(f"(x/255-{mean!r})/{deviation!r}", (table,))


def named(text):
    """The formula of --pixels, which `infer` takes as it is: 0-255, 0-1, 0.5, or MEAN,STD on the scale 0…1."""
    formula = {"0-255": RAW, "0-1": unit(), "0.5": standard(0.5, 0.5)}.get(text)
    if formula is None:
        try:
            mean, deviation = map(float, text.split(","))
        except ValueError:
            raise ValueError(f"{text!r} is not 0-255, 0-1, 0.5 or MEAN,STD") from None
        formula = standard(mean, deviation)
    return dataclasses.replace(formula, flags=("-pixels", text))


def metadata(model):
    """The graph's metadata."""
    pairs = (dict(fields(entry)) for entry in of(fields(model.read_bytes()), 14))
    return {text(pair.get(1, b"")): text(pair.get(2, b"")) for pair in pairs}


def recorded(model):
    """The formula that the graph's metadata records: pixel·slipway.pixel_scale + slipway.pixel_offset, x as it is without them.

    A graph of colour images may have a list in both, a number for each channel."""
    said = metadata(model)
    try:
        scales, offsets = (list(map(float, said.get(f"slipway.pixel_{name}", otherwise).split(",")))
                           for name, otherwise in (("scale", "1"), ("offset", "0")))
        if len(scales) != len(offsets):
            raise ValueError(f"{len(scales)} scales and {len(offsets)} offsets")
        rules = [scaled(scale, offset) for scale, offset in zip(scales, offsets)]
        if len(rules) == 1:
            return rules[0]
        return Pixels("; ".join(rule.name for rule in rules), tuple(rule.tables[0] for rule in rules))
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{model}: its metadata scales pixels in no way that is known: {error}") from None


def scaled(scale, offset):
    """The formula of x·scale + offset, which is (x/255 − mean)/deviation."""
    if (scale, offset) == (1, 0):
        return RAW
    if (scale, offset) == (1 / 255, 0):
        return unit()
    deviation = 1 / (255 * scale)
    return standard(-offset * deviation, deviation)


@dataclasses.dataclass(frozen=True)
class Input:
    """How a graph takes images: shape is one's, such as (1, 28, 28); batch is 0 where it is free."""

    shape: tuple
    type: str = "float32"
    batch: int = 0


def taken(model):
    """The graph's Input."""
    graph = dict(fields(model.read_bytes())).get(7, b"")
    constants = {text(dict(fields(tensor)).get(8, b"")) for tensor in of(fields(graph), 5)}
    inputs = [dict(fields(value)) for value in of(fields(graph), 11)]
    inputs = [value for value in inputs if text(value.get(1, b"")) not in constants]
    if len(inputs) != 1:
        raise ValueError(f"{model}: it takes {len(inputs)} inputs; one of images is needed")
    tensor = dict(fields(dict(fields(inputs[0].get(2, b""))).get(1, b"")))
    sizes = tuple(dict(fields(dim)).get(1, 0) for dim in of(fields(tensor.get(2, b"")), 1))
    if tensor.get(1) not in TYPES or len(sizes) < 2 or not all(sizes[1:]):
        raise ValueError(f"{model}: its input has element type {tensor.get(1)} and shape {sizes}; images are fed as float32 (1) or uint8 (2), of a size that the graph fixes")
    return Input(sizes[1:], TYPES[tensor.get(1)], sizes[0])


def of(pairs, number):
    return [value for field, value in pairs if field == number]


def text(data):
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""


def fields(data):
    """The fields of a protocol buffer: pairs of number and value, which is bytes or an integer."""
    if not isinstance(data, bytes):
        raise ValueError("not a whole ONNX model")
    pairs, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError("not a whole ONNX model")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            pairs.append((number, varint()))
            continue
        if kind not in (1, 2, 5):
            raise ValueError("not a whole ONNX model")
        length = varint() if kind == 2 else 8 if kind == 1 else 4
        if length > len(data) - at:
            raise ValueError("not a whole ONNX model")
        pairs.append((number, data[at : at + length]))
        at += length
    return pairs
