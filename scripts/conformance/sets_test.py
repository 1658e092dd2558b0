"""python3 scripts/conformance/sets_test.py: how test sets are read and fed."""

import array
import dataclasses
import pathlib
import struct
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True

import judge
import pixels
import sets

# Two coloured images of 1×2 pixels.
COLOURED = sets.Images("two images", (3, 1, 2), bytes([0, 255, 1, 2, 3, 4, 10, 20, 30, 40, 50, 60]), (1, 0), "place")


def written(folder, images, labels):
    folder = pathlib.Path(folder)
    (folder / "t10k-images-idx4-ubyte").write_bytes(images)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(labels)
    return folder


class Sets(unittest.TestCase):
    def setUp(self):
        cache = tempfile.TemporaryDirectory()
        self.addCleanup(cache.cleanup)
        self.folder = pathlib.Path(cache.name)
        patch = mock.patch.object(sets, "CACHE", self.folder)
        patch.start()
        self.addCleanup(patch.stop)

    def test_idx_files(self):
        images = struct.pack(">5i", 2052, 2, 3, 1, 2) + COLOURED.bytes
        for labels in (struct.pack(">ii", 2049, 2) + b"\1\0", struct.pack(">4i", 0xC01, 2, 1, 0)):
            found = sets.opened(written(self.folder, images, labels))
            place = str((self.folder / "t10k-images-idx4-ubyte").resolve())
            self.assertEqual(found, dataclasses.replace(COLOURED, title=f"images of {self.folder.name}", place=place))
        for images, labels in (
                (images[:-1], labels), (images, labels[:-4]), (b"\1" + images[1:], labels), (b"", labels),
                (images, struct.pack(">5i", 0xC01, 3, 1, 0, 0))):
            with self.assertRaises(ValueError):
                sets.opened(written(self.folder, images, labels))

    def test_what_is_written_is_read(self):
        place = sets.idx_folder(COLOURED, 1)
        found = sets.opened(pathlib.Path(place).parent)
        self.assertEqual((found.shape, found.bytes, found.labels, found.place), ((3, 1, 2), COLOURED.bytes[:6], (1,), place))
        many = dataclasses.replace(COLOURED, labels=(700, 0))
        self.assertEqual(sets.opened(pathlib.Path(sets.idx_folder(many, 2)).parent).labels, (700, 0))

    def test_a_sizing_is_told_to_the_decoder(self):
        self.assertEqual(sets.flags(""), [])
        self.assertEqual(sets.flags("resize 64×48 crop=0.875 bilinear"), ["-resize", "64x48", "-fit", "crop=0.875", "-filter", "bilinear"])
        for wrong in ("resize 64×64 pad bilinear on #ff0000", "crop 3", "resize"):
            with self.assertRaises(ValueError):
                sets.flags(wrong)

    def test_fed(self):
        taken = pixels.Input((3, 1, 2))
        rule = pixels.Pixels("x; x/255; x", (pixels.RAW.tables[0], pixels.unit().tables[0], pixels.RAW.tables[0]))
        data = sets.prepare(COLOURED, 1, rule, taken)
        values = array.array("f", data.inputs.read_bytes())
        want = array.array("f", [0, 255, 1 / 255, 2 / 255, 3, 4, 10, 20, 30 / 255, 40 / 255, 50, 60])
        self.assertEqual((values, data.labels, data.count), (want, (1,), 1))
        self.assertEqual(sets.prepare(COLOURED, 2, pixels.RAW, pixels.Input((3, 1, 2), "uint8")).inputs.read_bytes(), COLOURED.bytes)
        for rule, taken, error in (
                (pixels.RAW, pixels.Input((3, 2, 2)), "takes images of"), (pixels.RAW, pixels.Input((1, 2, 3)), "channels first"),
                (pixels.unit(), pixels.Input((3, 1, 2), "uint8"), "as they are"),
                (pixels.Pixels("two", pixels.RAW.tables * 2), pixels.Input((3, 1, 2)), "scales 2 channels")):
            with self.assertRaisesRegex(ValueError, error):
                sets.prepare(COLOURED, 2, rule, taken)

    def test_other_pictures_are_noticed(self):
        reference = judge.Reference(array.array("f", [0, 1, 1, 0]), 2, 1.0, "logits")  # labels 1 and 0: both right
        data = sets.prepare(COLOURED, 2, pixels.RAW, pixels.Input((3, 1, 2)))
        said = {"slipway.test_images": "2", "slipway.test_accuracy": "1"}
        judge.check("m.onnx", reference, data, said)
        judge.check("m.onnx", reference, data, {})
        judge.check("m.onnx", reference, data, said | {"slipway.test_images": "3"})  # not all of them
        with self.assertRaisesRegex(ValueError, "answers 1 of the 2 two images right"):
            judge.check("m.onnx", reference, dataclasses.replace(data, labels=(1, 1)), said)

    def test_mnist(self):
        images = sets.mnist()
        self.assertEqual((images.shape, len(images.labels), images.labels[:3], len(images.bytes)), ((1, 28, 28), 10000, (7, 2, 1), 7840000))


if __name__ == "__main__":
    unittest.main()
