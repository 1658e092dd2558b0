"""Where bench-peers writes its table."""

import contextlib
import io
import json
import pathlib
import tempfile
import unittest
from unittest import mock

import bench_peers
import machine


def group(network, threads=1, others=None):
    row = {"network": network, "batch": 32, "threads": threads, "system": "Slipway", "config": "native", "ms_min": 1, "ms_median": 1,
           "epoch_s": 1, "peak_mb": None, "float32": True, "version": "", "imported_mb": None}
    return {"rows": [row], "others": others, "cpu": machine.cpu()[0], "header": [], "missing": [], "settings": {"rounds": 1, "seconds": 1}}


class Destination(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.docs = pathlib.Path(folder.name)

    def commit(self, *groups):
        (self.docs / "peers.json").write_text(json.dumps([row for one in groups for row in one["rows"]]))

    def test_first_table(self):
        self.assertEqual(bench_peers.unfit(self.docs, [group("e1")]), "")

    def test_whole_table(self):
        self.commit(group("e1"), group("mlp"))
        self.assertEqual(bench_peers.unfit(self.docs, [group("mlp", others=[0.02, 3]), group("e1"), group("conv4")]), "")

    def test_some_groups_alone(self):
        self.commit(group("e1"), group("mlp"), group("mlp", threads=2))
        reason = bench_peers.unfit(self.docs, [group("mlp")])
        self.assertIn("e1, batch 32, 1 thread; mlp, batch 32, 2 threads", reason)
        self.assertNotIn("mlp, batch 32, 1 thread;", reason)

    def test_busy_machine(self):
        self.assertIn("1.02 cores", bench_peers.unfit(self.docs, [group("e1", others=[1.02, 1.08])]))

    def test_command(self):
        self.commit(group("e1"), group("mlp"))
        before = (self.docs / "peers.json").read_text()
        groups = self.docs / "cache" / "peers"
        groups.mkdir(parents=True)
        (groups / "mlp-batch32-threads1.json").write_text(json.dumps(group("mlp")))
        said = io.StringIO()
        with mock.patch.object(machine, "CACHE", self.docs / "cache"), mock.patch.object(machine, "DOCS", self.docs), \
                mock.patch("sys.argv", ["bench-peers", "--report"]), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            bench_peers.main()
        self.assertEqual((self.docs / "peers.json").read_text(), before)
        self.assertFalse((self.docs / "peers.md").exists())
        self.assertTrue((groups / "peers.md").exists())
        self.assertIn("stays as it is", said.getvalue())


if __name__ == "__main__":
    unittest.main()
