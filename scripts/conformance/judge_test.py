"""python3 scripts/conformance/judge_test.py: what judge calls agreement, and what not."""

import array
import hashlib
import json
import math
import pathlib
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import judge
import sets

TRAINED = [100.0, 0.0, -100.0, 0.0, 50.0, 50.0004]  # range 200: tolerated is 0.002
LABELS = bytes([0, 2])


def judged(values):
    reference = judge.Reference(array.array("f", TRAINED), 3, 200.0, "reference")
    row = {"logits": array.array("f", values).tobytes()}
    judge.judge(row, reference, sets.Data(2, LABELS))
    return row


class Judge(unittest.TestCase):
    def test_same(self):
        row = judged(TRAINED)
        self.assertEqual((row["status"], row["accuracy"], row["labels_differ"], row["max_abs_diff"]), ("agrees", 1.0, 0, 0.0))

    def test_within_tolerance(self):
        row = judged([100.001, *TRAINED[1:]])
        self.assertEqual(row["status"], "agrees")
        self.assertAlmostEqual(row["max_rel_diff"], 0.001 / 200, delta=1e-7)

    def test_beyond_tolerance(self):
        row = judged([100.01, *TRAINED[1:]])
        self.assertEqual((row["status"], row["labels_differ"], len(row["reasons"])), ("disagrees", 0, 1))

    def test_label_explained_by_margin(self):
        row = judged([*TRAINED[:4], 50.0008, 50.0004])
        self.assertEqual((row["status"], row["labels_differ"], row["accuracy"]), ("agrees", 1, 0.5))
        self.assertTrue(row["changed_labels"][0]["explained"])

    def test_label_not_explained(self):
        row = judged([0.0, 100.0, *TRAINED[2:]])
        self.assertEqual((row["status"], row["labels_differ"]), ("disagrees", 1))
        self.assertIn("image 0: label 1", row["reasons"][1])

    def test_not_finite(self):
        for bad in (math.nan, math.inf):
            self.assertEqual(judged([bad, *TRAINED[1:]])["status"], "disagrees")

    def test_wrong_count(self):
        self.assertEqual(judged(TRAINED[:3])["status"], "disagrees")


class Variants(unittest.TestCase):
    trained = judge.Reference(array.array("f", TRAINED), 3, 200.0, "reference")

    def judged(self, reference, values, tolerance=judge.TOLERANCE):
        row = {"logits": array.array("f", values).tobytes()}
        judge.judge(row, reference, sets.Data(2, LABELS), tolerance)
        return row

    def test_another_answer(self):
        """Another runtime's answer with the variant is what is compared with; labels are counted against the trainer's."""
        answer = [90.0, 0.0, -100.0, 0.0, 50.0, 49.0]
        reference = self.trained.answered(array.array("f", answer), "onnxruntime")
        row = self.judged(reference, answer)
        self.assertEqual((row["status"], row["labels_differ"], row["reference"], row["max_abs_diff"]), ("agrees", 1, "onnxruntime", 0.0))
        row = self.judged(reference, [90.0, 0.0, -100.0, 0.0, 50.0, 50.5])
        self.assertEqual((row["status"], row["labels_differ"]), ("disagrees", 0))
        self.assertEqual(self.judged(reference, [90.0, 0.0, -100.0, 0.0, 50.0, 50.5], 1e-2)["status"], "agrees")

    def test_limits(self):
        within = judge.dataclasses.replace(self.trained, limits=judge.Limits(difference=0.1, labels=0.5, loss=0.5))
        row = self.judged(within, [110.0, 0.0, -100.0, 0.0, 50.0, 49.0])
        self.assertEqual((row["status"], row["labels_differ"]), ("agrees", 1))
        strict = judge.dataclasses.replace(self.trained, limits=judge.Limits(difference=0.04, labels=0.0, loss=0.0))
        reasons = self.judged(strict, [110.0, 0.0, -100.0, 0.0, 50.0, 49.0])["reasons"]
        self.assertEqual([reason.split()[0] for reason in reasons], ["largest", "1", "1"])

    def test_probabilities(self):
        soft = self.trained.softmaxed()
        self.assertAlmostEqual(sum(soft.logits[3:]), 1, places=6)
        self.assertEqual(soft.labels(), self.trained.labels())
        self.assertEqual(self.judged(soft, soft.logits)["status"], "agrees")

    def test_some_images(self):
        self.assertEqual(len(self.trained.first_of(1).logits), 3)
        self.assertEqual(self.trained.first_of(1).trained, [0])


class Reference(unittest.TestCase):
    def write(self, folder, digest=None, values=TRAINED):
        model = pathlib.Path(folder) / "m.onnx"
        model.write_bytes(b"model")
        header = json.dumps({"__metadata__": {"model_sha256": digest or hashlib.sha256(b"model").hexdigest()},
                             "logits": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
        (model.parent / "m").mkdir()
        (model.parent / "m" / "trainer_logits.safetensors").write_bytes(
            struct.pack("<Q", len(header)) + header + struct.pack("<6f", *values))
        return model

    def test_range_is_of_the_images_asked_for(self):
        with tempfile.TemporaryDirectory() as folder:
            model = self.write(folder)
            self.assertAlmostEqual(judge.reference(model, 2).range, 200.0)
            self.assertEqual(len(judge.reference(model, 1).logits), 3)

    def test_refused(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(ValueError, "another m.onnx"):
            judge.reference(self.write(folder, digest="0" * 64), 2)
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(ValueError, "NaN"):
            judge.reference(self.write(folder, values=[math.nan] * 6), 2)
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(ValueError, "or more"):
            judge.reference(self.write(folder), 3)
        with self.assertRaisesRegex(ValueError, "missing"):
            judge.reference(pathlib.Path("/nonexistent/m.onnx"), 1)


if __name__ == "__main__":
    unittest.main()
