"""Trains the zoo's ResNet-20 on CIFAR-10 as folders of pictures from several seeds, in Slipway and in PyTorch, and writes
docs/bench/resnet20.md and resnet20.json: test accuracy, its mean and spread on each side, how likely so large a difference is by
chance, and the time.

--data is a folder with train/ and test/ of a folder for each class. Both sides read the same files once, flip them and crop them
with a padding of 4, and train with one recipe from weights drawn by the same rules. Slipway's side is the command train; a run
goes on where it was broken off. The sides take turns. A run takes an hour or so: each seed's result is a file in
docs/bench/resnet20/, to be kept, and results that are there are not made again unless --fresh is given. The page is written
once all are there.
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
from bench_pictures import SIDES, TRAIN, build, difference, given, summary, welch, write

BATCH, RATE, MOMENTUM, DECAY, CROP = 128, 0.1, 0.9, 5e-4, 4
CLASSES = 10
# Of the training set, as is usual for CIFAR-10.
MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
SEEDS = [0, 1, 2]


def arguments():
    parser = argparse.ArgumentParser(prog="bench-resnet20", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with train/ and test/; without it nothing is measured")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="(0 1 2)")
    parser.add_argument("--epochs", type=int, default=30, help="(%(default)s)")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES), help="train these alone, and write no page")
    parser.add_argument("--threads", type=int, default=len(machine.all_cpus()), help="of each side (%(default)s)")
    parser.add_argument("--untimed", action="store_true", help="other processes are at work: keep no times, which would be false")
    parser.add_argument("--fresh", action="store_true", help="remove earlier results of these seeds")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 1 epoch; writes to .cache/bench/quick/")
    options = parser.parse_args()
    if options.quick:
        options.epochs = 1
    least = 2 if set(options.sides) == set(SIDES) else 1
    if options.epochs < 1 or options.threads < 1 or min(options.seeds) < 0 or len(set(options.seeds)) < least:
        parser.error("--epochs and --threads must be at least 1, --seeds at least 0, and two of them for a page")
    return options


def network():
    """The network as JSON, from which PyTorch's is built: the one that train makes by that name for CIFAR-10's ten classes."""
    return json.loads(subprocess.run([machine.SLIPWAY, "network", "-network", "resnet20"], check=True, capture_output=True, text=True).stdout)


def numbers(values):
    return ",".join(map(str, values))


def slipway_command(options, seed, runs):
    return [TRAIN, "-data", options.data / "train", "-test", options.data / "test", "-network", "resnet20", "-augment", f"flip,crop={CROP}",
            "-pixels", f"mean={numbers(MEAN)},std={numbers(STD)}", "-optimizer", "sgd", "-lr", RATE, "-momentum", MOMENTUM,
            "-weight-decay", DECAY, "-schedule", "cosine", "-batch", BATCH, "-epochs", options.epochs, "-seed", seed,
            "-threads", options.threads, "-runs", runs, "-name", f"seed{seed}"]


def train(side, options, seed, folder, path):
    part = path.with_suffix(".part")
    runs = folder / "runs"
    untimed = options.untimed
    load, before, began = os.getloadavg()[0], os.times(), time.perf_counter()
    if side == "slipway":
        run = runs / f"seed{seed}"
        command = slipway_command(options, seed, runs)
        if any((run / "checkpoints").glob("*.safetensors")):
            untimed = True  # a part of it was timed by another process
            command = [TRAIN, "-resume", "-runs", runs, "-name", run.name, "-threads", options.threads]
        subprocess.run([str(word) for word in command], env=machine.clean_environment(), check=True, stdout=sys.stderr)
        epochs = json.loads((run / "history.json").read_text())
        result = {"version": "this version", "epochs": [
            {name: epoch[name] for name in ("mean_loss", "seconds", "test_accuracy")} for epoch in epochs]}
    else:
        config = folder / f"config-{seed}.json"
        config.write_text(json.dumps({
            "network": network(), "train": str(options.data / "train"), "test": str(options.data / "test"), "seed": seed,
            "epochs": options.epochs, "batch": BATCH, "learning_rate": RATE, "momentum": MOMENTUM, "weight_decay": DECAY,
            "mean": MEAN, "std": STD, "crop": CROP, "threads": options.threads, "output": str(part)}))
        script = machine.ROOT / "scripts" / "bench" / "torch_cifar.py"
        subprocess.run([sys.executable, script, config], env=machine.peer_environment(options.threads), check=True)
        result = json.loads(part.read_text())
    seconds, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    result |= {"seconds": seconds, "cpu_seconds": cpu, "load": load} if not untimed else {"epochs": [
        {name: value for name, value in epoch.items() if name != "seconds"} for epoch in result["epochs"]]}
    if untimed:
        result.pop("seconds", None)
    part.write_text(json.dumps(result | {"seed": seed, "system": SIDES[side], "cpu": machine.cpu()[0], "threads": options.threads}))
    part.replace(path)


def markdown(options, found, sides, test):
    import torch
    import torchvision
    images = found["pytorch"][0]["images"]
    loads = [load for side in sides for load in side["load"]]
    lines = ["# ResNet-20 on CIFAR-10: accuracy and time of Slipway and of PyTorch",
             "<!-- made by scripts/bench/bench-resnet20; not by hand -->",
             "\n".join(machine.header(f"make bench-resnet20 PICTURES={options.data.name}") + [
                 f"- PyTorch {torch.__version__}, torchvision {torchvision.__version__}",
                 f"- {options.threads} thread{'s' if options.threads > 1 else ''} on each side",
                 "- a seed's result is kept in docs/bench/resnet20/, and is of the commit before the one that added it (`git log`)",
                 f"- each run's CPU: {', '.join(sorted({result['cpu'] for results in found.values() for result in results}))}"] +
                ([f"- load average before each run: {', '.join(map(str, loads))}"] if loads else [])),
             f"{images[0]:,} training images and {images[1]:,} test images of 32×32 pixels, files in a folder for each class, which both sides "
             f"read once. The network is the zoo's `resnet20`; PyTorch's is built of its JSON. The recipe: flipped and cropped with a padding of "
             f"{CROP} anew in each epoch, normalised by channel, batches of {BATCH}, SGD with momentum {MOMENTUM:g} and weight decay {DECAY:g} of all "
             f"parameters, a learning rate of {RATE:g} that falls by a cosine over {options.epochs} epochs. Convolutions are drawn by Kaiming's "
             "rule. The sides draw their own random numbers, so equal seeds give different runs. Test accuracy in per cent after the last epoch; higher is better."]
    table = ["| | " + " | ".join(f"seed {seed}" for seed in options.seeds) + " | mean | standard deviation | s an epoch, median | CPU s a run, median |",
             "| --- |" + " ---: |" * (len(options.seeds) + 4)]
    for side in sides:
        epochs = [seconds for run in side["epoch_seconds"] for seconds in run]
        times = f"{statistics.median(epochs):.1f} | {statistics.median(side['cpu_seconds']):.0f}" if epochs else "– | –"
        table.append(f"| {side['system']} | " + " | ".join(f"{value:.2f}" for value in side["test_accuracy_percent"]) +
                     f" | **{side['mean']:.2f}** | {side['standard_deviation']:.2f} | {times} |")
    lines.append("\n".join(table))
    lines.append(difference(test))
    lines.append("An epoch's seconds are those of training, augmenting included; less is better. Runs beside other processes are not timed. PyTorch augments a whole batch at a time, channels last, with its fused SGD.")
    command = " ".join(str(word) for word in slipway_command(options, "SEED", "RUNS"))
    command = command.replace(str(TRAIN), "train").replace(str(options.data), "PICTURES")
    lines.append(f"Commands:\n\n```\n{command}\npython scripts/bench/torch_cifar.py CONFIG.json\n```")
    return "\n\n".join(lines) + "\n"


def main():
    options = arguments()
    if not given(options, "bench-resnet20"):
        return
    if (classes := sum(path.is_dir() for path in (options.data / "train").iterdir())) != CLASSES:
        sys.exit(f"bench-resnet20: {options.data / 'train'} has {classes} folders; CIFAR-10 has one for each of {CLASSES} classes")
    build()
    folder = machine.CACHE / ("quick-resnet20" if options.quick else "resnet20")
    folder.mkdir(parents=True, exist_ok=True)
    if options.fresh or options.quick:
        shutil.rmtree(folder / "runs", ignore_errors=True)
    results = folder if options.quick else machine.DOCS / "resnet20"
    results.mkdir(parents=True, exist_ok=True)
    paths = {(side, seed): results / f"{side}-epochs{options.epochs}-seed{seed}.json" for seed in options.seeds for side in SIDES}
    for (side, seed), path in paths.items():
        if options.fresh or options.quick:
            path.unlink(missing_ok=True)
        if side in options.sides and not path.exists():
            train(side, options, seed, folder, path)
    if len(options.seeds) < 2 or not all(path.exists() for path in paths.values()):
        return
    found = {side: [json.loads(paths[side, seed].read_text()) for seed in options.seeds] for side in SIDES}
    sides = [summary(results) for results in found.values()]
    test = welch(*sides)
    docs = folder if options.quick else machine.DOCS
    write("bench-resnet20", docs / "resnet20", markdown(options, found, sides, test), sides, test)


if __name__ == "__main__":
    main()
