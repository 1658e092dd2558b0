"""Times the native evaluator beside Python's onnxruntime, OpenVINO and tract, and writes docs/bench/evaluate.md and evaluate.json.

Every side is a process of its own with the model loaded, pinned to as many CPUs as it has threads. First all must give the same
scores; then they answer the same batch in blocks, taking turns, round after round. The networks are those of our zoo with the weights
that training begins with, DenseNet-121 (densenet.py) and E1 as trained. Where others computed meanwhile, or a flag leaves something
out, the files go to .cache/bench/evaluate/ and docs/bench stays as it is.
"""

import argparse
import contextlib
import json
import math
import pathlib
import statistics
import subprocess
import sys
import time

import machine
import numpy
import worker

FOLDER = machine.CACHE / "evaluate"
HERE = pathlib.Path(__file__).resolve().parent

ZOO = ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "efficientnet_lite0"]
NETWORKS = [*ZOO, "densenet121", "e1"]
PEERS = ["onnxruntime", "openvino", "tract"]
NAMES = {"slipway": "Slipway", "onnxruntime": "onnxruntime", "openvino": "OpenVINO", "tract": "tract"}
# Cores that others may use while a group is measured, for figures worth keeping.
QUIET = 0.1
# Seconds between two blocks.
SETTLE = 0.1
# How far scores may differ, of their largest magnitude: float32's rounding through a hundred layers.
TOLERANCE = 2e-5


def arguments():
    parser = argparse.ArgumentParser(prog="bench-evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="may be repeated (all)")
    parser.add_argument("--batch", action="append", type=int, help="may be repeated (1 and 8; of E1 1 and 256)")
    parser.add_argument("--threads", action="append", type=int, help="may be repeated (1 and all, 2 at most)")
    parser.add_argument("--peer", action="append", choices=PEERS, help="may be repeated (all)")
    parser.add_argument("--rounds", type=int, default=7, help="blocks of each side (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a block (%(default)s)")
    parser.add_argument("--kernels", default="", help="Slipway's kernel set (the preferred one)")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one short block of each, MobileNetV3")
    options = parser.parse_args()
    options.whole = not (options.network or options.batch or options.threads or options.peer or options.kernels or options.quick)
    if options.quick:
        options.rounds, options.seconds = 1, 0.05
        options.network = options.network or ["mobilenet_v3_small"]
    cores = len(machine.all_cpus())
    options.network = options.network or NETWORKS
    options.threads = options.threads or sorted({1, min(2, cores)})
    options.peer = options.peer or PEERS
    if options.rounds < 1 or not options.seconds > 0 or min(options.batch or [1]) < 1:
        parser.error("--rounds and --batch must be at least 1, --seconds over 0")
    if min(options.threads) < 1 or max(options.threads) > cores:
        parser.error(f"--threads must be 1 to {cores}")
    return options


def say(text):
    print(f"bench-evaluate: {text}", file=sys.stderr, flush=True)


def graph(network):
    """The network's file, made where it is not there."""
    if network == "e1":
        return machine.ROOT / "graphs" / "e1.onnx"
    path = FOLDER / f"{network}.onnx"
    if network in ZOO:
        subprocess.run([machine.SLIPWAY, "graph", network, path], check=True)
    else:
        subprocess.run([sys.executable, HERE / "densenet.py", path], check=True)
    return path


class Side:
    """A worker and its times."""

    def __init__(self, system, model, batch, shape, options, threads):
        if system == "slipway":
            command = [machine.SLIPWAY, "evaluate", "-model", model, "-input", batch, "-shape", shape, "-threads", threads,
                       "-kernels", options.kernels]
            environment = machine.clean_environment()
        else:
            command = [sys.executable, HERE / "evaluate_peer.py", system, model, batch, shape, threads]
            environment = machine.peer_environment(threads)
        self.worker = worker.Worker(command, environment, threads, 1)
        self.system, self.version = system, self.worker.introduction["version"]
        self.seconds, self.computed, self.others, self.runs = [], [], [], 1

    def ask(self, **command):
        stream = self.worker.process.stdin
        stream.write(json.dumps(command) + "\n")
        stream.flush()
        return self.worker.read()

    def warm(self, seconds):
        """Runs until the time of a run is known, and plans blocks of that length."""
        scores = numpy.asarray(self.ask(runs=2, scores=True)["scores"])
        self.runs = max(1, math.ceil(seconds / min(self.ask(runs=3)["seconds"])))
        return scores

    def block(self):
        # Threads of the side before wait for more work for a while, computing (onnxruntime's some 50 ms).
        time.sleep(SETTLE)
        load = machine.Load(self.worker.process.pid)
        answer = self.ask(runs=self.runs)
        self.seconds.append(answer["seconds"])
        self.computed.append(answer.get("cpu_seconds", 0) / self.runs)
        if (others := load.others()) is not None:
            self.others.append(others)

    def row(self):
        return {"system": self.system, "version": self.version, "ms_min": 1e3 * min(map(min, self.seconds)),
                "ms_median": 1e3 * statistics.median(sum(self.seconds, [])), "ms_cpu": 1e3 * min(self.computed), "peak_mb": self.worker.peak(),
                "others": statistics.median(self.others) if self.others else None}


def measure(network, batch, threads, options):
    """The rows of all systems, and why others are missing."""
    shape = [batch, 1, 28, 28] if network == "e1" else [batch, 3, 224, 224]
    path = FOLDER / f"input-{network == 'e1'}-{batch}.bin"
    values = numpy.random.default_rng(batch).random(math.prod(shape), numpy.float32)
    (255 * values if network == "e1" else 2 * values - 1).astype("<f4").tofile(path)
    missing, rows = {}, []
    with contextlib.ExitStack() as stack:
        sides, expected = [], None
        for system in ["slipway", *options.peer]:
            try:
                side = Side(system, FOLDER / f"{network}.onnx" if network != "e1" else machine.ROOT / "graphs" / "e1.onnx", path,
                            ",".join(map(str, shape)), options, threads)
            except worker.Unavailable as error:
                missing[system] = str(error)
                continue
            stack.enter_context(side.worker)
            scores = side.warm(options.seconds)
            if expected is None:
                expected = scores
            difference = numpy.abs(scores - expected).max() / numpy.abs(expected).max()
            if not difference <= TOLERANCE:
                missing[system] = f"its scores differ by {difference:.1e} of their largest magnitude"
                if system == "onnxruntime":
                    sys.exit(f"bench-evaluate: {network}, batch {batch}: {missing[system]}")
                continue
            sides.append(side)
        for _ in range(options.rounds):
            for side in sides:
                side.block()
        rows = [side.row() for side in sides]
    return {"network": network, "batch": batch, "threads": threads, "rows": rows, "missing": missing}


def ratio(group, figure="ms_median"):
    """Slipway's time by onnxruntime's."""
    by = {row["system"]: row for row in group["rows"]}
    return by["slipway"][figure] / by["onnxruntime"][figure] if "onnxruntime" in by else math.nan


def busy(groups):
    return max((row["others"] for group in groups for row in group["rows"] if row["others"] is not None), default=0.0)


def figure(ms):
    return f"{ms:.3f}" if ms < 10 else f"{ms:.1f}"


def markdown(groups, options):
    versions = dict.fromkeys(row["version"] for group in groups for row in group["rows"])
    head = machine.header() + [
        f"- {'; '.join(versions)}", f"- {options.rounds} blocks of {options.seconds:g} s of each, in turns; all in float32, warm",
        f"- other processes used {busy(groups):.2f} cores in the median block of the worst side"]
    if busy(groups) > QUIET:
        head.append("- **The machine was not quiet: these figures are not for publication.**")
    lines = ["| network | batch | threads | " + " | ".join(f"{NAMES[s]}, ms" for s in NAMES) + " | Slipway ÷ onnxruntime, medians | minima |",
             "| --- | ---: | ---: |" + " ---: |" * (len(NAMES) + 2)]
    for group in groups:
        by = {row["system"]: figure(row["ms_median"]) for row in group["rows"]}
        lines.append(f"| {group['network']} | {group['batch']} | {group['threads']} | " + " | ".join(by.get(s, "–") for s in NAMES)
                     + f" | **{ratio(group):.2f}** | {ratio(group, 'ms_min'):.2f} |")
    parts = ["# Evaluation: the native runtime beside onnxruntime, OpenVINO and tract",
             "<!-- made by scripts/bench/bench-evaluate; not by hand -->", "\n".join(head), "\n".join(lines),
             "Times are medians of one answer to a batch, below 1 the native runtime is the faster one."]
    reasons = {(s, why) for group in groups for s, why in group["missing"].items()}
    if reasons:
        parts += ["## Left out", "\n".join(f"- {NAMES[s]}: {why}" for s, why in sorted(reasons))]
    return "\n\n".join(parts) + "\n"


def main():
    options = arguments()
    machine.take_children_along()
    FOLDER.mkdir(parents=True, exist_ok=True)
    machine.build_slipway()
    for network in options.network:
        graph(network)
    groups = []
    for network in options.network:
        for batch in options.batch or ([1, 256] if network == "e1" else [1, 8]):
            for threads in options.threads:
                groups.append(measure(network, batch, threads, options))
                times = ", ".join(f"{NAMES[row['system']]} {figure(row['ms_min'])} ({figure(row['ms_cpu'])} of CPU)" for row in groups[-1]["rows"])
                say(f"{network}, batch {batch}, threads {threads}: {times}; {ratio(groups[-1], 'ms_min'):.2f} ({ratio(groups[-1], 'ms_cpu'):.2f})")
    folder = machine.DOCS if options.whole and busy(groups) <= QUIET else FOLDER
    (folder / "evaluate.md").write_text(markdown(groups, options))
    (folder / "evaluate.json").write_text(json.dumps(groups, indent=1) + "\n")
    say(f"written: {folder / 'evaluate.md'}")
    if folder != machine.DOCS:
        say("docs/bench stays as it is: not all was measured, or others were at work")


if __name__ == "__main__":
    main()
