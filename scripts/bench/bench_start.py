"""Times infer on one picture by VGG-16, a model of 553 MB, as a whole process, from its start to its exit, and takes down the most memory
that it held, beside a Python script that does the same with the same onnxruntime; writes docs/bench/start.md.

The sides take turns, round after round, each a fresh process; the model lies in the system's cache, as after any first run. All must
find the same class. Where others computed meanwhile the page goes to .cache/bench/start/ and docs/bench stays as it is.
"""

import argparse
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import time
import zlib

import machine
import numpy

FOLDER = machine.CACHE / "start"
HERE = pathlib.Path(__file__).resolve().parent
MODEL, PICTURE, PIXELS = FOLDER / "vgg16.onnx", FOLDER / "picture.png", FOLDER / "picture.f32"
INFER = machine.ROOT / "bin" / "bench-infer"  # where it finds the library
# Cores that others may use meanwhile, for figures worth keeping.
QUIET = 0.1


def arguments():
    parser = argparse.ArgumentParser(prog="bench-start", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="runs of each (%(default)s)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def make_inputs():
    """The model, and a picture of random pixels, as PNG and as float32."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not MODEL.exists():
        subprocess.run([sys.executable, HERE / "start_model.py", MODEL], check=True)
    pixels = numpy.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=numpy.uint8)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    PICTURE.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 224, 224, 8, 2, 0, 0, 0))
                        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    pixels.transpose(2, 0, 1).astype("<f4").tofile(PIXELS)


class Side:
    def __init__(self, name, command):
        self.name, self.command, self.seconds, self.megabytes, self.cpu = name, list(map(str, command)), [], [], []

    def run(self):
        """Runs once, and returns the class that it prints."""
        begin = time.perf_counter()
        child = subprocess.Popen(self.command, cwd=machine.ROOT, env=machine.clean_environment(), stdout=subprocess.PIPE, text=True)
        printed = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"bench-start: {self.name}: exit {child.returncode}")
        self.seconds.append(time.perf_counter() - begin)
        self.megabytes.append(usage.ru_maxrss / 1024)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        return printed.split()[1]


def markdown(options, sides, busy):
    head = machine.header() + [f"- {options.rounds} runs of each in turns; other processes used {busy:.2f} cores"]
    if busy > QUIET:
        head.append("- **The machine was not quiet: these figures are not for publication.**")
    lines = ["| process | seconds, median | minimum | MB at most, median | smallest | largest |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for side in sides:
        lines.append(f"| {side.name} | {statistics.median(side.seconds):.2f} | {min(side.seconds):.2f} | **{statistics.median(side.megabytes):.0f}** | "
                     f"{min(side.megabytes):.0f} | {max(side.megabytes):.0f} |")
    return "\n\n".join(["# One picture by a model of 553 MB: start and memory of infer", "<!-- made by scripts/bench/bench-start; not by hand -->",
                        "\n".join(head), "\n".join(lines),
                        "Seconds are those of a whole process, MB its largest resident set (MiB); less is better. The model is VGG-16 with random weights. "
                        "The script reads the picture's pixels as float32, where infer decodes a PNG."]) + "\n"


def main():
    options = arguments()
    machine.take_children_along()
    make_inputs()
    subprocess.run(["go", "build", "-o", INFER, "./cmd/infer"], cwd=machine.ROOT, check=True)
    subprocess.run([machine.ROOT / "scripts" / "setup-onnxruntime"], cwd=machine.ROOT, check=True, stdout=sys.stderr)
    infer = [INFER, "-model", MODEL, "-pixels", "0-255"]
    sides = [Side("infer, onnxruntime", [*infer, "-runtime", "onnxruntime", "-device", "cpu", PICTURE]),
             Side("Python, onnxruntime", [sys.executable, HERE / "start_peer.py", MODEL, PIXELS]),
             Side("infer, native runtime", [*infer, "-runtime", "native", PICTURE])]
    if len(found := {side.run() for side in sides}) > 1:
        sys.exit(f"bench-start: other classes are found: {found}")
    for side in sides:  # that was for warming up
        side.seconds, side.megabytes, side.cpu = [], [], []
    before, start = machine.busy_ticks(), time.perf_counter()
    for number in range(options.rounds):
        print(f"bench-start: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for side in sides:
            side.run()
    own = sum(sum(side.cpu) for side in sides)
    busy = max(0.0, (machine.busy_ticks() - before) / machine.TICKS - own) / (time.perf_counter() - start)
    page = (machine.DOCS if busy <= QUIET else FOLDER) / "start.md"
    page.write_text(markdown(options, sides, busy))
    print(page.read_text())
    print(f"bench-start: written: {page}", file=sys.stderr)


if __name__ == "__main__":
    main()
