"""Trains an ONNX model on for the classes of a few photographs, from several seeds, in Slipway and in PyTorch, and writes
docs/bench/finetune.md and finetune.json: test accuracy, its mean and spread on each side, how likely so large a difference is by
chance, and the time.

--data is a folder with train/ and val/ (or test/) of a folder for each class, such as the ants and bees of PyTorch's tutorial of
transfer learning; --model an ONNX classifier for square colour pictures, of which Slipway makes a network. The head is replaced, trained alone, and then
with all else. Both sides begin with the same weights, the new head's among them. The sides take turns. Each seed's result is a file
in .cache/bench/finetune/: a run that was broken off goes on where it was, and results that are there are not made again unless
--fresh is given.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import machine
from bench_pictures import SIDES, TRAIN, build, difference, results, summary, welch, write

BATCH, HEAD_RATE, RATE = 16, 1e-3, 1e-4
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SEEDS = [0, 1, 2, 3, 4]


def arguments():
    parser = argparse.ArgumentParser(prog="bench-finetune", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with train/ and val/; without it nothing is measured")
    parser.add_argument("--model", type=pathlib.Path, help="ONNX file to train on; without it nothing is measured")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="(0 1 2 3 4)")
    parser.add_argument("--epochs", type=int, default=10, help="(%(default)s)")
    parser.add_argument("--frozen", type=int, default=5, help="epochs of the head alone (%(default)s)")
    parser.add_argument("--mean", type=float, nargs=3, default=MEAN, help="of each channel, of pixels 0 to 1 (ImageNet's)")
    parser.add_argument("--std", type=float, nargs=3, default=STD, help="likewise")
    parser.add_argument("--threads", type=int, default=len(machine.all_cpus()), help="of each side (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="remove earlier results of these seeds")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 2 epochs; writes to .cache/bench/quick-finetune/")
    options = parser.parse_args()
    if options.quick:
        options.epochs, options.frozen = 2, 1
    if not 0 < options.frozen < options.epochs or options.threads < 1 or min(options.seeds) < 0 or len(set(options.seeds)) < 2:
        parser.error("--epochs must be more than --frozen, both and --threads at least 1, --seeds at least 0, and two of them")
    return options


def given(options):
    """Whether there is what is needed; says why the program skips where there is not."""
    why = ""
    if options.data is None or options.model is None:
        why = "no pictures or no model are given"
    else:
        tests = [options.data / name for name in ("val", "test") if (options.data / name).is_dir()]
        if not tests or not (options.data / "train").is_dir() or not options.model.is_file():
            why = f"{options.data} has no train/ and val/, or {options.model} is no file"
        else:
            options.data, options.model = options.data.resolve(), options.model.resolve()
            options.test = options.data / tests[0].name
    if why:
        print(f"bench-finetune: skipped: {why}; make bench-finetune PICTURES=FOLDER MODEL=FILE", file=sys.stderr)
    return not why


def start(options, seed, folder):
    """The network with its new head as JSON, and the weights that both sides begin with, a file."""
    weights = folder / f"start-seed{seed}.safetensors"
    classes = sum(path.is_dir() for path in (options.data / "train").iterdir())
    done = subprocess.run([machine.SLIPWAY, "start", options.model, str(classes), str(seed), weights], check=True, capture_output=True, text=True)
    return json.loads(done.stdout), weights


def numbers(values):
    return ",".join(map(str, values))


def slipway_command(options, seed, size, runs):
    return [TRAIN, "-from", options.model, "-head", "auto", "-data", options.data / "train", "-test", options.test, "-resize", size,
            "-pixels", f"mean={numbers(options.mean)},std={numbers(options.std)}", "-freeze", "trunk", "-freeze-until", options.frozen + 1,
            "-freeze-statistics", "*", "-features", "once", "-augment", "random-resized-crop,flip", "-optimizer", "adam",
            "-lr", f"head={HEAD_RATE},*={RATE}", "-batch", BATCH, "-epochs", options.epochs, "-seed", seed,
            "-threads", options.threads, "-runs", runs, "-name", f"seed{seed}"]


def train(side, options, seed, folder, path):
    part = path.with_suffix(".part")
    begun, weights = start(options, seed, folder)
    size = begun["network"]["input"][1]
    load, before, began = os.getloadavg()[0], os.times(), time.perf_counter()
    if side == "slipway":
        runs = folder / "runs"
        shutil.rmtree(runs / f"seed{seed}", ignore_errors=True)
        command = slipway_command(options, seed, size, runs)
        if not any(layer["kind"] == "BatchNorm" for layer in begun["network"]["layers"]):
            at = command.index("-freeze-statistics")
            del command[at:at + 2]
        subprocess.run([str(word) for word in command], env=machine.clean_environment(), check=True, stdout=sys.stderr)
        epochs = json.loads((runs / f"seed{seed}" / "history.json").read_text())
        result = {"version": "this version", "epochs": [
            {name: epoch[name] for name in ("mean_loss", "seconds", "test_accuracy")} for epoch in epochs]}
    else:
        config = folder / f"config-{seed}.json"
        config.write_text(json.dumps(begun | {
            "weights": str(weights), "train": str(options.data / "train"), "test": str(options.test), "seed": seed,
            "epochs": options.epochs, "frozen": options.frozen, "batch": BATCH, "head_rate": HEAD_RATE, "rate": RATE,
            "mean": options.mean, "std": options.std, "size": size, "threads": options.threads, "output": str(part)}))
        script = machine.ROOT / "scripts" / "bench" / "torch_finetune.py"
        subprocess.run([sys.executable, script, config], env=machine.peer_environment(options.threads), check=True)
        result = json.loads(part.read_text())
    seconds, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    part.write_text(json.dumps(result | {"seconds": seconds, "cpu_seconds": cpu, "seed": seed, "system": SIDES[side], "load": load,
                                         "head_accuracy": result["epochs"][options.frozen - 1]["test_accuracy"], "size": size}))
    part.replace(path)


def markdown(options, found, sides, test):
    import torch
    import torchvision
    images, size = found["pytorch"][0]["images"], found["pytorch"][0]["size"]
    lines = ["# A model trained on for a few photographs: accuracy and time of Slipway and of PyTorch",
             "<!-- made by scripts/bench/bench-finetune; not by hand -->",
             "\n".join(machine.header(f"make bench-finetune PICTURES={options.data.name} MODEL={options.model.name}") + [
                 f"- PyTorch {torch.__version__}, torchvision {torchvision.__version__}",
                 f"- {options.threads} threads on each side",
                 f"- load average before each run: {', '.join(str(load) for side in sides for load in side['load'])}"]),
             f"{images[0]:,} training images and {images[1]:,} test images, photographs brought to {size}×{size}. The network and its weights are "
             f"those of `{options.model.name}`; its head is replaced, the same new one on both sides. The recipe: the head alone for {options.frozen} "
             f"epochs, on pictures as they are, then everything for {options.epochs - options.frozen}, on random resized crops and flips; Adam, the "
             f"head at {HEAD_RATE:g}, all else at {RATE:g}, batches of {BATCH}, batch normalisation with the statistics that it came with. Slipway "
             "computes what lies below the head once for each image while it is frozen; PyTorch computes it in each step, without "
             "gradients, as its tutorial of transfer learning does. Test accuracy in per cent; higher is better."]
    table = ["| | " + " | ".join(f"seed {seed}" for seed in options.seeds) + " | mean | standard deviation | mean of the head alone | s a run, median | CPU s a run, median |",
             "| --- |" + " ---: |" * (len(options.seeds) + 5)]
    for side, results in zip(sides, found.values()):
        head = statistics.mean(100 * result["head_accuracy"] for result in results)
        table.append(f"| {side['system']} | " + " | ".join(f"{value:.2f}" for value in side["test_accuracy_percent"]) +
                     f" | **{side['mean']:.2f}** | {side['standard_deviation']:.2f} | {head:.2f} | "
                     f"{statistics.median(side['seconds']):.1f} | {statistics.median(side['cpu_seconds']):.1f} |")
    lines.append("\n".join(table))
    lines.append(difference(test))
    lines.append("A run's seconds are those of the whole process: start, reading the pictures, training, and evaluating the test set after each "
                 "epoch; less is better. The two draw their own shuffles and crops, so equal seeds give different runs from the same weights.")
    command = " ".join(str(word) for word in slipway_command(options, "SEED", size, "RUNS"))
    command = command.replace(str(TRAIN), "train").replace(str(options.data), "PICTURES").replace(str(options.model), "MODEL.onnx")
    lines.append(f"Commands:\n\n```\n{command}\npython scripts/bench/torch_finetune.py CONFIG.json\n```")
    return "\n\n".join(lines) + "\n"


def main():
    options = arguments()
    if not given(options):
        return
    build()
    folder = machine.CACHE / ("quick-finetune" if options.quick else "finetune")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {(side, seed): folder / f"{side}-{options.model.stem}-epochs{options.epochs}-seed{seed}.json"
             for seed in options.seeds for side in SIDES}
    found = results(options, paths, lambda side, seed, path: train(side, options, seed, folder, path))
    sides = [summary(results) for results in found.values()]
    test = welch(*sides)
    docs = folder if options.quick else machine.DOCS
    write("bench-finetune", docs / "finetune", markdown(options, found, sides, test), sides, test)


if __name__ == "__main__":
    main()
