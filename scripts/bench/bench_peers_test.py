"""What bench-peers measures, and where it writes its tables."""

import argparse
import contextlib
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import bench_peers
import machine
import network
import report
import worker


def group(name, threads=1, others=None):
    row = {"network": name, "batch": 32, "threads": threads, "system": "Slipway", "config": "native", "ms_min": 1, "ms_median": 1,
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
        self.assertEqual(bench_peers.unfit(self.docs / "peers.json", [group("e1")]), "")

    def test_whole_table(self):
        self.commit(group("e1"), group("mlp"))
        self.assertEqual(bench_peers.unfit(self.docs / "peers.json", [group("mlp", others=[0.02, 3]), group("e1"), group("conv4")]), "")

    def test_some_groups_alone(self):
        self.commit(group("e1"), group("mlp"), group("mlp", threads=2))
        reason = bench_peers.unfit(self.docs / "peers.json", [group("mlp")])
        self.assertIn("e1, batch 32, 1 thread; mlp, batch 32, 2 threads", reason)
        self.assertNotIn("mlp, batch 32, 1 thread;", reason)

    def test_busy_machine(self):
        self.assertIn("1.02 cores", bench_peers.unfit(self.docs / "peers.json", [group("e1", others=[1.02, 1.08])]))

    def report(self, *groups, of="peers"):
        """Runs bench-peers --report on these results, and returns what it said."""
        folder = self.docs / "cache" / "peers"
        folder.mkdir(parents=True, exist_ok=True)
        for one in groups:
            row = one["rows"][0]
            (folder / f"{row['network']}-batch{row['batch']}-threads{row['threads']}.json").write_text(json.dumps(one))
        said = io.StringIO()
        with mock.patch.object(machine, "CACHE", self.docs / "cache"), mock.patch.object(machine, "DOCS", self.docs), \
                mock.patch("sys.argv", ["bench-peers", "--report", "--set", of]), \
                contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            bench_peers.main()
        return folder, said.getvalue()

    def test_command(self):
        self.commit(group("e1"), group("mlp"))
        before = (self.docs / "peers.json").read_text()
        groups, said = self.report(group("mlp"))
        self.assertEqual((self.docs / "peers.json").read_text(), before)
        self.assertFalse((self.docs / "peers.md").exists())
        self.assertTrue((groups / "peers.md").exists())
        self.assertIn("stays as it is", said)

    def test_each_set_has_a_page_of_its_own(self):
        self.commit(group("e1"))
        before = (self.docs / "peers.json").read_text()
        real = group("resnet18")
        real["rows"][0].update(epoch_s=None, batch=8, ms_cpu=2)
        peer = real["rows"][0] | {"system": "PyTorch", "config": "eager", "ms_median": 3, "ms_min": 2, "ms_cpu": 5}
        real["rows"].append(peer)
        self.report(real, group("e1"), of="networks")
        self.assertEqual((self.docs / "peers.json").read_text(), before)
        self.assertFalse((self.docs / "peers.md").exists())
        rows = json.loads((self.docs / "networks.json").read_text())
        self.assertEqual([row["network"] for row in rows], ["resnet18", "resnet18"])
        text = (self.docs / "networks.md").read_text()
        self.assertIn("| resnet18 | 8 | 1 | PyTorch, eager | 3.000 | native | 1.000 | **3.00** | 2.00 | 2.50 |\n", text)
        self.assertNotIn("epoch", text)
        self.assertNotIn("What the cores allow", text)

    def test_bounds(self):
        one = group("resnet18")
        one["rows"][0].update(config="native avx512", ms_min=40)
        one["work"] = {"multiply_adds": 10**9, "passed_bytes": 52 * 10**6, "peak": {"gflops": 100, "gbytes": 20}}
        self.assertEqual(report.bounds([one]).splitlines()[2],
                         "| resnet18 | 32 | 1 | 2.00 | 100 | 20.0 | 40.0 | 50 % | 4.0 | 20.0 | 2.600 |")


class Configurations(unittest.TestCase):
    def group(self):
        return bench_peers.Group("e1", 32, 1, argparse.Namespace(set="peers"), None)

    def child(self, script):
        """A worker whose process is this script."""
        started = worker.Worker([sys.executable, "-c", script], dict(os.environ), 1, 32)
        self.addCleanup(started.close)
        return started

    def test_a_peer_that_ends_in_a_step_is_listed(self):
        measured = self.group()
        with contextlib.redirect_stderr(io.StringIO()) as said, measured.listing("PyTorch", "eager"):
            measured.workers["PyTorch", "eager"] = self.child(
                "import sys; print('{}', flush=True); input(); print('no memory', file=sys.stderr); sys.exit(9)")
            measured.rows["PyTorch", "eager"] = {"blocks": []}
            measured.workers["PyTorch", "eager"].run(1)
        self.assertEqual(measured.missing, [["PyTorch", "eager", "its process ended with 9: no memory"]])
        self.assertIn("ended with 9", said.getvalue())
        self.assertFalse(measured.workers or measured.rows)

    def test_a_peer_that_says_nothing_is_listed_with_its_status(self):
        measured = self.group()
        with contextlib.redirect_stderr(io.StringIO()), measured.listing("JAX", "jit"):
            self.child("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        self.assertEqual(measured.missing, [["JAX", "jit", "its process ended with -9"]])

    def test_a_process_of_slipways_must_not_end(self):
        measured = self.group()
        with self.assertRaisesRegex(SystemExit, "(?s)e1, batch 32, 1 thread.*panic"), measured.listing("Slipway", "native"):
            self.child("import sys; print('{}', flush=True); sys.exit('panic')").run(1)


class Networks(unittest.TestCase):
    def block(self):
        """A stem, a squeeze of its channels that multiplies them, and a residual sum."""
        size, none = {"height": 3, "width": 3}, {"height": 0, "width": 0}
        conv = {"filters": 6, "kernel": size, "stride": {"height": 2, "width": 2}, "padding": {"height": 1, "width": 1}}
        return {"input": [3, 9, 7], "layers": [
            {"kind": "Conv2D", "layer": {"name": "stem"} | conv},
            {"kind": "GlobalAvgPool", "layer": {"name": "squeeze"}},
            {"kind": "Mul", "layer": {"name": "scaled"}, "inputs": ["squeeze", "stem"]},
            {"kind": "Add", "layer": {"name": "sum"}, "inputs": ["scaled", "stem"]},
            {"kind": "MaxPool2D", "layer": {"name": "pool", "kernel": size, "stride": size, "padding": none}},
            {"kind": "Flatten", "layer": {"name": "flat"}},
            {"kind": "Dense", "layer": {"name": "fc", "units": 2}},
        ]}

    def test_shapes(self):
        found = {place.name: (place.shape, place.output) for place in network.places(self.block())}
        self.assertEqual(found, {
            "stem": ((3, 9, 7), (6, 5, 4)), "squeeze": ((6, 5, 4), (6, 1, 1)), "scaled": ((6, 1, 1), (6, 5, 4)),
            "sum": ((6, 5, 4), (6, 5, 4)), "pool": ((6, 5, 4), (6, 1, 1)), "flat": ((6, 1, 1), (6,)), "fc": ((6,), (2,))})

    def test_values_are_dropped_once_nobody_takes_them(self):
        places = network.places(self.block())
        self.assertEqual(network.last_uses(places), [["input"], [], ["squeeze"], ["scaled", "stem"], ["sum"], ["pool"], ["flat"]])

    def test_work(self):
        """The stem has no gradient of its input."""
        places = network.places(self.block())
        self.assertEqual(network.multiply_adds(places), 2 * (6 * 5 * 4) * 3 * 9 + 3 * 6 * 2)
        self.assertEqual(network.passed_bytes(places), network.PASSES * 4 * 6 * 5 * 4)

    def test_what_is_not_computed_is_named(self):
        other = self.block()
        other["layers"][4]["layer"]["ceil_mode"] = True
        with self.assertRaisesRegex(ValueError, "layer pool: MaxPool2D with ceil_mode"):
            network.places(other)
        other["layers"][5]["kind"] = "GELU"
        other["layers"][4]["layer"]["ceil_mode"] = False
        with self.assertRaisesRegex(ValueError, "layer flat: GELU"):
            network.places(other)

    def test_a_pooling_is_a_reshape_where_its_windows_tile_the_map(self):
        places = network.places(self.block())
        self.assertEqual(bench_peers.jax_configurations(places), ["jit, reduce_window pooling"])
        tiled = [place._replace(shape=(6, 6, 3)) if place.kind == "MaxPool2D" else place for place in places]
        self.assertEqual(bench_peers.jax_configurations(tiled), ["jit, reduce_window pooling", "jit, reshape pooling"])
        self.assertEqual(bench_peers.jax_configurations(tiled[:4]), ["jit"])

    def test_gate(self):
        one = bench_peers.Group("e1", 32, 1, argparse.Namespace(set="peers"), None)
        want = [2.0, 2.0]
        one.gate("JAX", "jit", [2.0, 2.003], want)
        one.gate("PyTorch", "bf16 autocast", [1.0, 1.0], want)
        for got in ([2.0001, 2.0], [2.0, 2.005], [2.0, float("nan")]):
            with self.assertRaisesRegex(SystemExit, "computes something else"):
                one.gate("JAX", "jit", got, want)


if __name__ == "__main__":
    unittest.main()
