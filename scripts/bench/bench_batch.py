"""Times Slipway's training step of E1 over the batch size, 8 to 1024, on 1 and on all threads, and writes
docs/bench/batch.csv, batch.svg and batch.md. It fails if images a second fall as the batch grows.

Each batch size and number of threads is a process of its own; all take turns, round after round. Where there is more than one
thread, a block counts that ran while its CPUs were next to each other (placement.py), if there is one.
"""

import argparse
import contextlib
import csv
import io
import json
import statistics
import subprocess
import sys
import time

import machine
import placement
import report
import worker

# What images/s may fall from one batch size to the next before it counts: the noise of a shared machine.
TOLERANCE = 0.05
# How long the run waits in all for the CPUs of several threads to be next to each other, in seconds.
PATIENCE = 300


def arguments():
    parser = argparse.ArgumentParser(prog="bench-batch", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, action="append", help="a batch size; may be repeated (8, 16, … 1024)")
    parser.add_argument("--threads", type=int, action="append", help="threads; may be repeated (1 and all)")
    parser.add_argument("--config", help="Slipway's configuration, such as 'native avx2' (the fastest here)")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a block (%(default)s)")
    parser.add_argument("--keep-build", action="store_true", help="do not build Slipway's side again")
    parser.add_argument("--quick", action="store_true", help="a smoke test; writes to .cache/bench/quick/")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds must be at least 1 and --seconds over 0")
    cores = len(machine.all_cpus())
    options.batch = sorted(set(options.batch or [8, 16, 32, 64, 128, 256, 512, 1024]))
    options.threads = sorted(set(options.threads or [1, cores]))
    if options.batch[0] < 1 or options.threads[0] < 1 or options.threads[-1] > cores:
        parser.error(f"--batch must be at least 1, --threads 1 to {cores}")
    return options


def choose(name):
    """The configuration of that name, or the first that can run here: they come fastest first."""
    described = json.loads(subprocess.run([machine.SLIPWAY, "describe"], check=True, capture_output=True, text=True).stdout)
    for one in described["configurations"]:
        if one["name"] == name or not name and not one.get("unavailable"):
            if one.get("unavailable"):
                sys.exit(f"bench-batch: {name}: {one['unavailable']}")
            return one
    sys.exit(f"bench-batch: unknown configuration {name}; there are {', '.join(c['name'] for c in described['configurations'])}")


def measure(options, config):
    rows = []
    places = {threads: placement.Placement(machine.cpus_of(threads), 0 if options.quick else PATIENCE) for threads in options.threads}
    with contextlib.ExitStack() as stack:
        workers = []
        for threads in options.threads:
            for batch in options.batch:
                one = stack.enter_context(worker.slipway("e1", batch, threads, config["engine"], config.get("kernel"),
                                                              config.get("precision", "float32")))
                one.run(3)  # warms up
                ms = one.milliseconds(2)
                rows.append({"batch": batch, "threads": threads, "blocks": [], "steps": max(1, round(1000 * options.seconds / ms))})
                workers.append(one)
        for number in range(options.rounds):
            print(f"bench-batch: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for row, one in zip(rows, workers, strict=True):
                time.sleep(0.05 if options.quick else 0.2)
                row["blocks"] += places[row["threads"]].blocks(lambda row=row, one=one: one.milliseconds(row["steps"]))
        for row, one in zip(rows, workers, strict=True):
            row["peak_mb"] = one.peak()
            near, row["apart"] = places[row["threads"]].split(row["blocks"])
            row["ms"] = near or row["apart"]
    return rows


def table(rows, config):
    text = io.StringIO()
    text.write(f"# E1, Slipway {config['name']}; made by scripts/bench/bench-batch\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["batch", "threads", "ms_min", "ms_median", "images_per_s", "peak_mb"])
    for row in rows:
        median = statistics.median(row["ms"])
        writer.writerow([row["batch"], row["threads"], f"{min(row['ms']):.4f}", f"{median:.4f}",
                         f"{1000 * row['batch'] / median:.0f}", "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"])
    return text.getvalue()


def falls(rows):
    """Where images/s, by the minima, fall by more than the tolerance from a batch size to the next."""
    found = []
    for before, after in zip(rows, rows[1:]):
        rates = [row["batch"] / min(row["ms"]) for row in (before, after)]
        if before["threads"] == after["threads"] and rates[1] < rates[0] * (1 - TOLERANCE):
            found.append(f"{report.threads(after['threads'])}: from batch {before['batch']} to {after['batch']} images/s fall "
                         f"by {100 * (1 - rates[1] / rates[0]):.0f} %")
    return found


def markdown(rows, config, fallen):
    lines = ["# E1: cost against work", "<!-- made by scripts/bench/bench-batch; not by hand -->",
             "\n".join(machine.header() + [f"- Slipway {config['name']}; a step as in peers.md; each process is pinned to as many "
                                           "CPUs as it has threads"]),
             "![images a second and milliseconds a step over the batch size](batch.svg)"]
    body = ["| batch | threads | ms a step, min | median | images/s | peak, MB |", "| ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        median = statistics.median(row["ms"])
        peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
        body.append(f"| {row['batch']} | {row['threads']} | {report.figure(min(row['ms']))} | {report.figure(median)} | "
                    f"{1000 * row['batch'] / median:,.0f} | {peak} |")
    if distant := [row for row in rows if row["apart"]]:
        body.append("\nBlocks that ran with the CPUs apart, which count only where there are no others: " + "; ".join(
            f"batch {row['batch']}: {len(row['apart'])} of {len(row['blocks'])}, median {report.figure(statistics.median(row['apart']))} ms"
            for row in distant) + ".")
    lines += ["\n".join(body), "\n".join(f"- {fall}" for fall in fallen) if fallen else
              f"Images a second, by the minima, nowhere fall by more than {100 * TOLERANCE:.0f} % as the batch grows."]
    return "\n\n".join(lines) + "\n"


def main():
    options = arguments()
    machine.take_children_along()
    if not options.keep_build:
        machine.build_slipway()
    config = choose(options.config)
    rows = measure(options, config)
    folder = machine.CACHE / "quick" if options.quick else machine.DOCS
    folder.mkdir(parents=True, exist_ok=True)
    fallen = falls(rows)
    text = markdown(rows, config, fallen)  # before a file is changed, of which the header would tell
    (folder / "batch.csv").write_text(table(rows, config))
    (folder / "batch.md").write_text(text)
    subprocess.run([machine.SLIPWAY, "plot", "-csv", folder / "batch.csv", "-o", folder / "batch.svg"], check=True)
    print((folder / "batch.md").read_text())
    print(f"bench-batch: written: batch.csv, batch.svg and batch.md in {folder}", file=sys.stderr)
    if fallen:
        sys.exit("bench-batch: images/s fall as the batch grows: " + "; ".join(fallen))


if __name__ == "__main__":
    main()
