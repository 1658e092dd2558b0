"""python3 scripts/conformance/variants_test.py: what int8 is calibrated on."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import variants

GRAPH = pathlib.Path("resnet20.onnx")


class Calibrated(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.test = pathlib.Path(folder.name).resolve() / "test"
        self.test.mkdir()
        self.said = []

    def test_mnist_is_exports_own_choice(self):
        self.assertEqual(variants.calibrated(GRAPH, "t10k", self.said.append), [])

    def test_pictures_beside_the_test_set(self):
        training = self.test.parent / "train"
        training.mkdir()
        self.assertEqual(variants.calibrated(GRAPH, str(self.test), self.said.append), ["-calibration-data", str(training)])
        self.assertEqual(self.said, [])

    def test_without_training_pictures_it_is_left_out(self):
        self.assertIsNone(variants.calibrated(GRAPH, str(self.test), self.said.append))
        self.assertIn("resnet20-int8.onnx is left out", self.said[0])


if __name__ == "__main__":
    unittest.main()
