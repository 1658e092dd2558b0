"""Trains ResNet-20 on a tenth of CIFAR-10's pictures with each optimizer, and writes docs/bench/optimizers.md and optimizers.json:
whether Lion or Muon raises the accuracy over SGD and AdamW, and what a step with them costs.

--data is a folder with train/ and test/ of a folder for each class. All optimizers get the same pictures, epochs, schedule and
augmentation, and the best learning rate of some, by the accuracy on a tenth of the pictures that is held out. Then each is trained
on all of them with that rate, from every seed, exported, and the native runtime asks the graph for the whole test set.
Each run's result is a file in .cache/bench/optimizers/: results that are there are not made again unless --fresh is given.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

import machine
from bench_few_labels import MEAN, STD, run, tenth

SEEDS, BATCH = [0, 1, 2], 128
# The learning rates that are tried. Decay is of weights alone; SGD's is added to the gradient, the others' is in proportion to the rate.
RATES = {"sgd": [0.05, 0.1, 0.2, 0.4], "adamw": [1e-3, 2e-3, 4e-3, 8e-3], "lion": [3e-4, 6e-4, 1.2e-3, 2.4e-3, 4.8e-3],
         "muon": [2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2]}
SETTINGS = {"sgd": ["-momentum", 0.9, "-nesterov", "-weight-decay", 5e-4], "adamw": ["-weight-decay", 0.05],
            "lion": ["-weight-decay", 0.15], "muon": ["-weight-decay", 0.05]}


def arguments():
    parser = argparse.ArgumentParser(prog="bench-optimizers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with train/ and test/; without it nothing is trained")
    parser.add_argument("--epochs", type=int, default=15, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=len(machine.all_cpus()), help="(%(default)s)")
    parser.add_argument("--untimed", action="store_true", help="the machine is not free: leave the times out")
    parser.add_argument("--fresh", action="store_true", help="remove earlier results")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 1 epoch; writes to .cache/bench/quick-optimizers/")
    options = parser.parse_args()
    if options.quick:
        options.epochs = 1
    if options.epochs < 1 or options.threads < 1:
        parser.error("--epochs and --threads must be at least 1")
    return options


def command(options, data, name, rate, seed, runs):
    return ["-data", data, "-test", "none", "-network", "resnet20", "-pixels", f"mean={','.join(map(str, MEAN))},std={','.join(map(str, STD))}",
            "-augment", "flip,crop=4", "-optimizer", name, "-lr", rate, *SETTINGS[name], "-decay", "weights", "-schedule", "cosine", "-warmup", 0.1,
            "-batch", BATCH, "-epochs", options.epochs, "-seed", seed, "-threads", options.threads, "-runs", runs, "-name", name]


def trained(options, folder, name, rate, seed, held_out):
    """Trains once, and returns the accuracy on what is asked of, in per cent, and the images that it learned from in a second."""
    path = folder / f"{name}-{rate:g}-epochs{options.epochs}-{'held-out' if held_out else 'test'}{seed}.json"
    if options.fresh or options.quick or not path.exists():
        runs, graph = folder / "runs", folder / "graph.onnx"
        shutil.rmtree(runs, ignore_errors=True)
        words = command(options, folder / "tenth", name, rate, seed, runs)
        run("train", *words, *(["-validation", 0.1] if held_out else []))
        history = json.loads((runs / name / "history.json").read_text())
        if held_out:
            accuracy = history[-1]["validation_accuracy"]
        else:
            run("export", "-run", runs / name, "-o", graph, "-verify", "none")
            accuracy = json.loads(run("infer", "-model", graph, "-data", options.data / "test", "-runtime", "native", "-json"))["accuracy"]
            shutil.rmtree(graph.with_suffix(""), ignore_errors=True)
        speed = 0 if options.untimed else max(epoch["images_per_second"] for epoch in history)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"accuracy": 100 * accuracy, "images_per_second": speed, "commit": options.commit, "cpu": machine.cpu()[0],
                                    "threads": options.threads}))
        part.replace(path)
    result = json.loads(path.read_text())
    print(f"bench-optimizers: {path.stem}: {result['accuracy']:.2f} %", file=sys.stderr, flush=True)
    return result


def rows(options, folder):
    for name, rates in RATES.items():
        tried = [(rate, trained(options, folder, name, rate, 0, True)["accuracy"]) for rate in rates]
        rate = max(tried, key=lambda pair: pair[1])[0]
        runs = [trained(options, folder, name, rate, seed, False) for seed in SEEDS]
        yield {"optimizer": name, "settings": SETTINGS[name], "tried": tried, "rate": rate, "runs": runs}


def markdown(options, found):
    first = found[0]["runs"][0]
    lines = ["# Optimizers: what Lion and Muon gain", "<!-- made by scripts/bench/bench-optimizers; not by hand -->",
             "\n".join(machine.header(f"make bench-optimizers PICTURES={options.data.name}") +
                       [f"- each run's Slipway: {', '.join(sorted({one['commit'] for row in found for one in row['runs']}))}",
                        f"- each run's CPU: {', '.join(sorted({one['cpu'] for row in found for one in row['runs']}))}"]),
             f"ResNet-20 on a tenth of CIFAR-10's training pictures, 5,000, flipped and cropped anew in each epoch; batches of {BATCH}, {options.epochs} "
             "epochs, a rate that rises in the first tenth of the steps and falls to 0 by a cosine. The learning rate is the best of those tried on 500 of the "
             "pictures that are held out; then the network is trained on all 5,000 from three seeds, and the native runtime asks the exported graph. Test "
             "accuracy in per cent of 10,000 pictures; higher is better."]
    table = ["| optimizer | rates tried (held-out accuracy) | rate | " + " | ".join(f"seed {seed}" for seed in SEEDS) + " | mean | standard deviation |",
             "| --- | --- | ---: |" + " ---: |" * (len(SEEDS) + 2)]
    for row in found:
        values = [one["accuracy"] for one in row["runs"]]
        table.append(f"| {row['optimizer']} | {', '.join(f'{rate:g} ({accuracy:.1f})' for rate, accuracy in row['tried'])} | {row['rate']:g} | "
                     + " | ".join(f"{value:.2f}" for value in values) + f" | **{statistics.mean(values):.2f}** | {statistics.stdev(values):.2f} |")
    lines.append("\n".join(table))
    best = max((row for row in found if row["optimizer"] in ("sgd", "adamw")), key=lambda row: statistics.mean(one["accuracy"] for one in row["runs"]))
    for row in found:
        if row["optimizer"] in ("sgd", "adamw"):
            continue
        samples = [",".join(str(one["accuracy"]) for one in each["runs"]) for each in (row, best)]
        test = json.loads(subprocess.run([machine.SLIPWAY, "welch", *samples], check=True, capture_output=True, text=True).stdout)
        lines.append(f"{row['optimizer']} against {best['optimizer']}: {test['Difference']:+.2f} points (95 % interval {test['Interval']['low']:+.2f} … "
                     f"{test['Interval']['high']:+.2f}; Welch's t-test, two-sided, p = {test['P']:.2g}).")
    if all(one["images_per_second"] for row in found for one in row["runs"]):
        base = statistics.median(one["images_per_second"] for one in found[0]["runs"])
        lines.append(f"Images learned from in a second, the fastest epoch of each run, median of the seeds, {first['threads']} threads (higher is better): " + "; ".join(
            f"{row['optimizer']} {speed:.0f} ({speed / base:.2f} of {found[0]['optimizer']}'s)" for row in found
            for speed in [statistics.median(one["images_per_second"] for one in row["runs"])]) + ".")
    lines.append("Commands:\n\n```\n" + "\n".join(
        " ".join(str(word) for word in ["train", *command(options, "TENTH", row["optimizer"], row["rate"], "SEED", "RUNS")]) for row in found) + "\n```")
    return "\n\n".join(lines) + "\n"


def main():
    options = arguments()
    if options.data is None or not (options.data / "train").is_dir() or not (options.data / "test").is_dir():
        print("bench-optimizers: skipped: no folder with train/ and test/ is given; make bench-optimizers PICTURES=FOLDER", file=sys.stderr)
        return
    options.data = options.data.resolve()
    machine.take_children_along()
    machine.build_slipway()
    options.commit = machine.commit()
    subprocess.run(["go", "build", "-o", machine.CACHE, *(f"./cmd/{name}" for name in ["train", "export", "infer"])], cwd=machine.ROOT, check=True)
    folder = machine.CACHE / ("quick-optimizers" if options.quick else "optimizers")
    folder.mkdir(parents=True, exist_ok=True)
    tenth(options.data, 0, folder / "tenth")
    found = list(rows(options, folder))
    target = (folder if options.quick else machine.DOCS) / "optimizers"
    target.with_suffix(".md").write_text(markdown(options, found))
    target.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"bench-optimizers: written: {target}.md, {target}.json", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench-optimizers: {error}")
