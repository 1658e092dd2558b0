"""Times the command serve under load, beside the same model in the same process without a server, and beside a server of
FastAPI and onnxruntime, and writes docs/bench/serve.md.

Each server has the CPUs that this script has; whoever asks has them, too, as on one machine. Requests are tensors as binary
data, of one image and of 64. "Saturation" is the most that any number of connections got, asking again as soon as they are
answered. "Half load" is half of that, at even times, where the time of an answer counts from when its request was due. The
servers take turns, round after round; the median round counts.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import socket
import statistics
import struct
import subprocess
import sys
import time
import urllib.request

import machine

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = machine.ROOT / ".cache" / "bench-serve-venv" / "bin" / "python"
TOOLS = {name: machine.CACHE / name for name in ("slipway-bench", "serve", "load")}
IMAGES = (1, 64)


def arguments():
    parser = argparse.ArgumentParser(prog="bench-serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="graphs/e1.onnx", help="takes 1×28×28 images (%(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", default=[4, 16, 64], help="%(default)s")
    parser.add_argument("--seconds", type=float, default=5, help="of each load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="%(default)s")
    parser.add_argument("--quick", action="store_true", help="a smoke test; writes to .cache/bench/quick/")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds, options.connections = 0.5, 1, [4]
    if options.seconds <= 0 or options.rounds < 1 or min(options.connections) < 1:
        parser.error("--seconds, --rounds and --connections must be above 0")
    return options


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def served(command, ready):
    """Runs a server from the moment when it answers."""
    server = subprocess.Popen(list(map(str, command)), cwd=machine.ROOT, env=machine.clean_environment(), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(ready, timeout=5).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"bench-serve: {shlex.join(map(str, command))} does not answer")
                time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait()


def sides(options):
    model = machine.ROOT / options.model
    ours, peer = free_port(), free_port()
    name = pathlib.Path(options.model).stem
    return [
        {"name": "serve", "command": [TOOLS["serve"], "-listen", f"127.0.0.1:{ours}", "-log-level", "error", model],
         "ready": f"http://127.0.0.1:{ours}/v2/health/ready",
         "load": ["-raw", "-url", f"http://127.0.0.1:{ours}/v2/models/{name}/infer"]},
        {"name": "FastAPI, uvicorn, onnxruntime", "command": [PYTHON, HERE / "serve_peer.py", model, str(peer)],
         "ready": f"http://127.0.0.1:{peer}/docs", "load": ["-url", f"http://127.0.0.1:{peer}/predict"]},
    ]


def load(side, body, connections, seconds, rate=0.0):
    command = [str(TOOLS["load"]), *side["load"], "-body", str(body), "-connections", str(connections), "-seconds", str(seconds),
               "-rate", str(rate)]
    done = subprocess.run(command, env=machine.clean_environment(), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench-serve: {shlex.join(command)}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def in_process(options, body):
    """Images a second in the runtime alone, without a server, in batches of 64, one behind the other for as long as a load takes."""
    command = [str(TOOLS["slipway-bench"]), "evaluate", "-model", options.model, "-input", str(body), "-shape", "64,1,28,28",
               "-threads", str(len(machine.all_cpus()))]
    running = subprocess.Popen(command, cwd=machine.ROOT, env=machine.clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(runs):
        running.stdin.write(json.dumps({"runs": runs}) + "\n")
        running.stdin.flush()
        line = running.stdout.readline()
        if not line:
            sys.exit(f"bench-serve: {shlex.join(command)}: exit {running.wait()}")
        return sum(json.loads(line)["seconds"])

    with running:
        running.stdout.readline()  # its version
        ask(10)
        runs = max(10, round(10 * options.seconds / ask(10)))
        found = 64 * runs / ask(runs)
        running.stdin.close()
    return found


def measure(options, body, images, side):
    """The best of all numbers of connections, and half of it at even times."""
    best = max((load(side, body, connections, options.seconds) | {"connections": connections} for connections in options.connections),
               key=lambda found: found["per_second"])
    half = load(side, body, 64, options.seconds, best["per_second"] / 2)
    return {"images_per_second": best["per_second"] * images, "connections": best["connections"], "half": half}


def markdown(options, alone, found, others):
    inside = statistics.median(alone)
    lines = ["# serve under load", "<!-- made by scripts/bench/bench-serve; not by hand -->",
             "\n".join(machine.header() + [
                 f"- {options.model}; {options.rounds} rounds of {options.seconds:g} s each, the servers taking turns; the median counts",
                 f"- who asks has the same CPUs; {others:.2f} cores were used by others meanwhile" if others is not None else "- the load by others is not known",
                 f"- the model in the native runtime without a server, in the same process and for as long, batches of 64, before each: {inside:,.0f} images/s"])]
    rows = ["| server | images a request | images/s at saturation (more is better) | of the runtime alone | connections | p50 at half load, ms (less is better) | p99, ms |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for (name, images), rounds in found.items():
        middle = lambda of: statistics.median(of(one) for one in rounds)
        throughput = middle(lambda one: one["images_per_second"])
        rows.append(f"| {name} | {images} | {throughput:,.0f} | {100 * throughput / inside:.0f} % | {middle(lambda one: one['connections']):.0f} | "
                    f"{middle(lambda one: one['half']['p50_ms']):.2f} | {middle(lambda one: one['half']['p99_ms']):.2f} |")
    return "\n\n".join([*lines, "\n".join(rows)]) + "\n"


def main():
    options = arguments()
    machine.take_children_along()
    machine.CACHE.mkdir(parents=True, exist_ok=True)
    for name, package in {"slipway-bench": "./scripts/bench/slipway", "serve": "./cmd/serve", "load": "./scripts/serve/load"}.items():
        subprocess.run(["go", "build", "-o", TOOLS[name], package], cwd=machine.ROOT, check=True)
    found, alone = {}, []
    before, own, start = machine.busy_ticks(), sum(os.times()[:4]), time.perf_counter()
    for number in range(options.rounds):
        print(f"bench-serve: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        bodies = {images: machine.CACHE / f"serve-{images}.bin" for images in IMAGES}
        for images, body in bodies.items():
            body.write_bytes(struct.pack("<f", 1.0) * (784 * images))
        for images, body in bodies.items():
            alone.append(in_process(options, bodies[64]))
            for side in sides(options):
                with served(side["command"], side["ready"]):
                    found.setdefault((side["name"], images), []).append(measure(options, body, images, side))
    elapsed = time.perf_counter() - start
    others = None if before is None else max(0.0, (machine.busy_ticks() - before) / machine.TICKS - sum(os.times()[:4]) + own) / elapsed
    folder = machine.CACHE / "quick" if options.quick else machine.DOCS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "serve.md").write_text(markdown(options, alone, found, others))
    print((folder / "serve.md").read_text())
    print(f"bench-serve: written: {folder / 'serve.md'}", file=sys.stderr)


if __name__ == "__main__":
    main()
