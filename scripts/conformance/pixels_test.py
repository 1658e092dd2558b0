"""python3 scripts/conformance/pixels_test.py: how a graph's metadata and shape are read."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import pixels
from places import ROOT


def varint(value):
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number * 8 + 2) + varint(len(value)) + value


def image(name, sizes, element=1):
    dims = b"".join(field(1, field(1, size) if isinstance(size, int) else field(2, size)) for size in sizes)
    return field(11, field(1, name) + field(2, field(1, field(1, element) + field(2, dims))))


def graph(inputs, **metadata):
    return field(7, inputs) + b"".join(field(14, field(1, f"slipway.{key}") + field(2, value)) for key, value in metadata.items())


class Graph(unittest.TestCase):
    def read(self, data, how):
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder) / "m.onnx"
            model.write_bytes(data)
            return how(model)

    def test_recorded(self):
        self.assertEqual(self.read(graph(b""), pixels.recorded), pixels.RAW)
        self.assertEqual(self.read(graph(b"", pixel_scale="1", pixel_offset="0"), pixels.recorded), pixels.RAW)
        self.assertEqual(self.read(graph(b"", pixel_scale="0.00392156862745098", pixel_offset="0"), pixels.recorded), pixels.unit())
        scale, offset = 1 / (255 * 0.3081), -0.1307 / 0.3081
        found = self.read(graph(b"", pixel_scale=repr(scale), pixel_offset=repr(offset)), pixels.recorded)
        self.assertEqual(found.tables, pixels.standard(0.1307, 0.3081).tables)
        for bad in ("0", "-1", "nan", "one"):
            with self.assertRaisesRegex(ValueError, "no way that is known"):
                self.read(graph(b"", pixel_scale=bad, pixel_offset="1"), pixels.recorded)

    def test_recorded_of_channels(self):
        found = self.read(graph(b"", pixel_scale="1,0.00392156862745098", pixel_offset="0,0"), pixels.recorded)
        self.assertEqual(found.tables, (pixels.RAW.tables[0], pixels.unit().tables[0]))
        self.assertEqual(found.name, "x; x/255")
        for scale, offset in (("1,2", "0"), ("1", "0,0"), ("1,2,3", "0,0"), ("1,", "0")):
            with self.assertRaisesRegex(ValueError, "no way that is known"):
                self.read(graph(b"", pixel_scale=scale, pixel_offset=offset), pixels.recorded)

    def test_shape(self):
        self.assertEqual(self.read(graph(image("x", ["N", 1, 28, 28])), pixels.taken), pixels.Input((1, 28, 28)))
        self.assertEqual(self.read(graph(image("x", [4, 784])), pixels.taken), pixels.Input((784,), batch=4))
        self.assertEqual(self.read(graph(image("x", [1, 28, 28, 1], element=2)), pixels.taken), pixels.Input((28, 28, 1), "uint8", 1))
        # Before IR 4 initializers are inputs, too.
        self.assertEqual(self.read(graph(field(5, field(8, "w")) + image("w", [3, 3]) + image("x", ["N", 28, 28, 1])), pixels.taken), pixels.Input((28, 28, 1)))
        self.assertEqual(self.read(graph(image("x", ["N", 3, 32, 32])), pixels.taken), pixels.Input((3, 32, 32)))
        for bad in (b"", image("x", ["N", 3, "H", "W"]), image("x", ["N"]), image("x", ["N", 784], element=7), image("x", ["N", 784]) + image("y", ["N", 784])):
            with self.assertRaisesRegex(ValueError, "takes . inputs|images are fed"):
                self.read(graph(bad), pixels.taken)

    def test_damaged(self):
        whole = graph(image("x", ["N", 784]), pixel_scale="1", pixel_offset="0")
        for length in range(1, len(whole)):
            try:
                self.read(whole[:length], pixels.recorded)
                self.read(whole[:length], pixels.taken)
            except ValueError:
                pass

    def test_exports(self):
        for model in sorted((ROOT / "graphs").glob("*.onnx")):
            self.assertIn(pixels.taken(model).shape, ((1, 28, 28), (3, 32, 32)))
            self.assertEqual({len(table) for table in pixels.recorded(model).tables}, {256})


class Formula(unittest.TestCase):
    def test_arithmetic_is_float32(self):
        table, = pixels.standard(0.1307, 0.3081).tables
        # The least and the largest value of MNIST's images after PyTorch's ToTensor and Normalize.
        self.assertEqual([table[0], table[255]], [-0.4242129623889923, 2.821486711502075])

    def test_refused(self):
        for bad in ("", "1", "0,0", "0,-1", "nan,1", "0,inf", "1,2,3"):
            with self.assertRaises(ValueError, msg=bad):
                pixels.named(bad)

    def test_named(self):
        for text, tables in (("0-255", pixels.RAW.tables), ("0-1", pixels.unit().tables), ("0.5", pixels.standard(0.5, 0.5).tables), ("0.1307,0.3081", pixels.standard(0.1307, 0.3081).tables)):
            found = pixels.named(text)
            self.assertEqual((found.tables, found.flags), (tables, ("-pixels", text)))


if __name__ == "__main__":
    unittest.main()
