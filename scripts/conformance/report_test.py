"""python3 scripts/conformance/report_test.py: what a table says of rows that a run did not make."""

import json
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import report
from places import DOCS


class Kept(unittest.TestCase):
    def test_the_run_of_rows_that_are_kept_is_named_on(self):
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder) / "table"
            target.with_suffix(".json").write_bytes(DOCS.with_suffix(".json").read_bytes())
            before = json.loads(target.with_suffix(".json").read_text())
            kept = report.kept(target, [pathlib.Path("graphs/resnet20.onnx")])
            self.assertTrue(kept and before["added"])
            others = [row for row in before["rows"] if row not in kept]
            report.write(others, target, "the command", 1e-5, kept)
            after = json.loads(target.with_suffix(".json").read_text())
            self.assertEqual(after["added"], before["added"])
            self.assertEqual(len(after["rows"]), len(before["rows"]))
            self.assertIn(f"- added by `{before['added'][0]['command']}`", target.with_suffix(".md").read_text())

            report.write(others, target, "the command", 1e-5)
            self.assertNotIn("added", json.loads(target.with_suffix(".json").read_text()))


if __name__ == "__main__":
    unittest.main()
