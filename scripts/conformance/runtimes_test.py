"""python3 scripts/conformance/runtimes_test.py: where conversions of models lie."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import runtimes


class Conversions(unittest.TestCase):
    def folder(self, runtime, model, content):
        model.parent.mkdir(exist_ok=True)
        model.write_bytes(content)
        target = runtime.convert(model, "1,28,28")[3]
        # What is run is what was converted.
        self.assertEqual(runtime.command(model, "inputs", 1, "logits", 1, "1,28,28")[-1], target)
        return target

    def test_one_for_each_file(self):
        runtime = next(one for one in runtimes.ALL if one.name == "ncnn")
        with tempfile.TemporaryDirectory() as root:
            first, second = (pathlib.Path(root) / name / "model.onnx" for name in ("a", "b"))
            folder = self.folder(runtime, first, b"one")
            self.assertTrue(folder.name.startswith("model-"))
            self.assertNotEqual(self.folder(runtime, second, b"another"), folder)
            self.assertEqual(self.folder(runtime, second, b"one"), folder)


if __name__ == "__main__":
    unittest.main()
