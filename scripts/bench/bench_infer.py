"""Times infer -model e2.onnx -data t10k as a whole process, from its start to its exit, beside a Python script that does the
same with the same onnxruntime, and writes docs/bench/infer.md. It fails if the two count other right answers, or if infer
is not the faster one.

The sides take turns, round after round: a tool that times one command and then the next would count a machine that slows
down for the second one. Both have the CPUs that this script has, and one thread for each. Every run is a fresh process; the
files that it reads are in the system's cache, as after any first run. The script is timed with infer's batch size, 64, and
with others, and the comparison is with its fastest. Where hyperfine is installed it times the two again, in its own way.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import machine

INFER = machine.ROOT / "bin" / "bench-infer"  # where it finds the library
PEER = pathlib.Path(__file__).resolve().parent / "infer_peer.py"
PYTHON = machine.ROOT / ".cache" / "bench-infer-venv" / "bin" / "python"


def arguments():
    parser = argparse.ArgumentParser(prog="bench-infer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="graphs/e2.onnx", help="%(default)s")
    parser.add_argument("--batch", type=int, action="append", help="a batch size of the script; may be repeated (32, 64, 256, 1000)")
    parser.add_argument("--rounds", type=int, default=20, help="runs of each (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a smoke test; writes to .cache/bench/quick/")
    options = parser.parse_args()
    options.batch = options.batch or [32, 64, 256, 1000]
    if options.quick:
        options.rounds, options.batch = 2, options.batch[:1]
    if options.rounds < 1 or min(options.batch) < 1:
        parser.error("--rounds and --batch must be at least 1")
    return options


def run(command):
    """Seconds of the wall, seconds of the CPU, and the accuracy printed."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, cwd=machine.ROOT, env=machine.clean_environment(), capture_output=True, text=True)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode != 0:
        sys.exit(f"bench-infer: {shlex.join(command)}: exit {done.returncode}\n{done.stderr}")
    accuracy = re.search(r"Accuracy = (\S+) %", done.stdout)
    if not accuracy:
        sys.exit(f"bench-infer: {shlex.join(command)} prints no accuracy:\n{done.stdout}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, accuracy[1]


def hyperfine(options, commands):
    """What hyperfine measures of the commands, one after the other: its own command line and a result for each. None where it
    is not installed."""
    if not shutil.which("hyperfine"):
        return None
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        # No shell, whose start would be timed, too.
        measured = ["hyperfine", "--shell=none", "--warmup", "2", "--runs", str(max(2, options.rounds)), "--style", "basic",
                    *map(shlex.join, commands)]
        done = subprocess.run([*measured, "--export-json", report.name], cwd=machine.ROOT, env=machine.clean_environment(), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"bench-infer: hyperfine: exit {done.returncode}\n{done.stderr}")
        results = json.loads(pathlib.Path(report.name).read_text())["results"]
    version = subprocess.run(["hyperfine", "--version"], capture_output=True, text=True).stdout.strip()
    return {"version": version, "command": measured, "results": results}


def hyperfine_lines(sides, found):
    """The section on hyperfine; found is of the sides, in their order."""
    if found is None:
        return ["hyperfine was not installed; with it (Debian's package hyperfine, or cargo install hyperfine) it times the two as well."]
    rows = ["| process | seconds, mean ± σ | min | max | mean by infer's |", "| --- | ---: | ---: | ---: | ---: |"]
    for side, result in zip(sides, found["results"]):
        rows.append(f"| {side['name']} | {result['mean']:.3f} ± {result['stddev']:.3f} | {result['min']:.3f} | {result['max']:.3f} | "
                    f"{result['mean'] / found['results'][0]['mean']:.2f} |")
    return [f"The same two by {found['version']}, one after the other:", "\n".join(rows), "```\n" + readable(found["command"]) + "\n```"]


def markdown(options, sides, fastest, others, found):
    ours = sides[0]
    ratio = statistics.median(fastest["wall"]) / statistics.median(ours["wall"])
    load = f"{others:.2f} cores were used by others meanwhile" if others is not None else "the load by others is not known"
    lines = ["# infer beside Python's onnxruntime, whole processes", "<!-- made by scripts/bench/bench-infer; not by hand -->",
             "\n".join(machine.header() + [f"- {options.rounds} runs of each, taking turns in a loop of the script's own; {load}; load average "
                                           f"{' '.join(f'{v:.2f}' for v in os.getloadavg())}",
                                           "- both: onnxruntime 1.32.0, CPUExecutionProvider, one thread for each CPU, all 10,000 images "
                                           "of t10k from its .gz files; fresh processes, files in the system's cache"])]
    rows = ["| process | seconds, min | median | CPU seconds, median | median by infer's |", "| --- | ---: | ---: | ---: | ---: |"]
    for side in sides:
        rows.append(f"| {side['name']} | {min(side['wall']):.3f} | {statistics.median(side['wall']):.3f} | "
                    f"{statistics.median(side['cpu']):.3f} | {statistics.median(side['wall']) / statistics.median(ours['wall']):.2f} |")
    lines += ["\n".join(rows), f"All count {ours['accuracy']} % of the images right. The script's fastest takes {ratio:.2f} times as long as infer.",
              "Commands:", "```\n" + "\n".join(readable(side["command"]) for side in sides) + "\n```", *hyperfine_lines([sides[0], fastest], found)]
    return "\n\n".join(lines) + "\n"


def readable(command):
    """The command as it is typed in the project's folder."""
    return shlex.join(map(str, command)).replace(str(machine.ROOT) + "/", "")


def main():
    options = arguments()
    machine.take_children_along()
    machine.CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", INFER, "./cmd/infer"], cwd=machine.ROOT, check=True)
    subprocess.run([machine.ROOT / "scripts" / "setup-onnxruntime"], cwd=machine.ROOT, check=True, stdout=sys.stderr)
    sides = [{"name": "infer", "command": [str(INFER), "-model", options.model, "-data", "t10k", "-device", "cpu"]}]
    for batch in options.batch:
        sides.append({"name": f"Python, batches of {batch}",
                      "command": [str(PYTHON), str(PEER), options.model, "--batch", str(batch)]})
    for side in sides:
        side.update(wall=[], cpu=[])
        side["accuracy"] = run(side["command"])[2]  # warms up
    if len({side["accuracy"] for side in sides}) > 1:
        sys.exit("bench-infer: the accuracies differ: " + ", ".join(f"{side['name']} {side['accuracy']} %" for side in sides))
    own = 0.0
    before, start = machine.busy_ticks(), time.perf_counter()
    for number in range(options.rounds):
        print(f"bench-infer: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for side in sides:
            wall, cpu, _ = run(side["command"])
            side["wall"].append(wall)
            side["cpu"].append(cpu)
            own += cpu
    elapsed = time.perf_counter() - start
    others = None if before is None else max(0.0, (machine.busy_ticks() - before) / machine.TICKS - own) / elapsed
    fastest = min(sides[1:], key=lambda side: statistics.median(side["wall"]))
    found = hyperfine(options, [sides[0]["command"], fastest["command"]])
    folder = machine.CACHE / "quick" if options.quick else machine.DOCS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "infer.md").write_text(markdown(options, sides, fastest, others, found))
    print((folder / "infer.md").read_text())
    print(f"bench-infer: written: {folder / 'infer.md'}", file=sys.stderr)
    if statistics.median(sides[0]["wall"]) >= statistics.median(fastest["wall"]):
        sys.exit(f"bench-infer: infer is not faster than {fastest['name']}")


if __name__ == "__main__":
    main()
