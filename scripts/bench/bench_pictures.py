"""Trains a small network on folders of pictures from several seeds in Slipway and in PyTorch with torchvision, and writes
docs/bench/pictures.md and pictures.json: test accuracy, its mean and spread on each side, and how likely so large a difference
is by chance.

--data is a folder with train/ and test/ of a folder for each class, such as CIFAR-10 as JPEGs. Both sides read the same files,
flip them and crop them with a padding of 4, feed (x/255 - 0.5)/0.5, and train with Adam 1e-3 in batches of 64 reshuffled each
epoch from weights as PyTorch draws them. Slipway's side is the command train. The sides take turns. Each seed's result is a
file in .cache/bench/pictures/: a run that was broken off goes on where it was, and results that are there are not made again
unless --fresh is given.
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

TRAIN = machine.CACHE / "train"
BATCH, RATE = 64, 1e-3
SEEDS = [0, 1, 2]
SIDES = {"slipway": "Slipway", "pytorch": "PyTorch"}


def arguments():
    parser = argparse.ArgumentParser(prog="bench-pictures", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with train/ and test/; without it nothing is measured")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="(0 1 2)")
    parser.add_argument("--epochs", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=len(machine.all_cpus()), help="Slipway's threads, and the workers of a DataLoader (%(default)s)")
    parser.add_argument("--torch-threads", type=int, default=1, help="threads that PyTorch computes on beside its workers (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="remove earlier results of these seeds")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 1 epoch; writes to .cache/bench/quick/")
    options = parser.parse_args()
    if options.quick:
        options.epochs = 1
    if options.epochs < 1 or options.threads < 1 or min(options.seeds) < 0 or len(set(options.seeds)) < 2:
        parser.error("--epochs and --threads must be at least 1, --seeds at least 0, and two of them")
    return options


def network():
    """Two convolutions, pooling, two convolutions, pooling and two dense layers for 3×32×32 images, as train -network reads it."""
    def square(size):
        return {"height": size, "width": size}
    layers = []
    def add(kind, name, **fields):
        layers.append({"kind": kind, "layer": {"name": name, **fields}})
    for number, filters in enumerate([16, 16, 32, 32], 1):
        add("Conv2D", f"conv{number}", filters=filters, kernel=square(3), stride=square(1), padding=square(1))
        add("ReLU", f"relu{number}")
        if number % 2 == 0:
            add("MaxPool2D", f"pool{number // 2}", kernel=square(2), stride=square(2), padding=square(0))
    add("Flatten", "flatten1")
    add("Dense", "fc1", units=64)
    add("ReLU", "relu5")
    add("Dense", "fc2", units=10)
    return {"name": "pictures", "input": [3, 32, 32], "layers": layers}


def slipway_command(options, seed, description, runs):
    return [TRAIN, "-data", options.data / "train", "-test", options.data / "test", "-network", description, "-augment", "flip,crop=4",
            "-pixels", "0.5", "-optimizer", "adam", "-lr", RATE, "-batch", BATCH, "-epochs", options.epochs, "-seed", seed,
            "-threads", options.threads, "-runs", runs, "-name", "pictures"]


def train(side, options, seed, folder, path):
    description, part = folder / "network.json", path.with_suffix(".part")
    description.write_text(json.dumps(network()))
    load, before = os.getloadavg()[0], os.times()
    if side == "slipway":
        runs = folder / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        began = time.perf_counter()
        command = slipway_command(options, seed, description, runs)
        subprocess.run([str(word) for word in command], env=machine.clean_environment(), check=True, stdout=sys.stderr)
        seconds = time.perf_counter() - began
        epochs = json.loads((runs / "pictures" / "history.json").read_text())
        result = {"version": "this version", "seconds": seconds, "epochs": [
            {name: epoch[name] for name in ("mean_loss", "seconds", "test_accuracy")} for epoch in epochs]}
    else:
        config = folder / "config.json"
        config.write_text(json.dumps({
            "network": network(), "train": str(options.data / "train"), "test": str(options.data / "test"), "seed": seed,
            "epochs": options.epochs, "batch": BATCH, "learning_rate": RATE, "workers": options.threads, "threads": options.torch_threads, "output": str(part)}))
        script = machine.ROOT / "scripts" / "bench" / "torch_pictures.py"
        began = time.perf_counter()
        subprocess.run([sys.executable, script, config], env=machine.peer_environment(options.torch_threads), check=True)
        result = json.loads(part.read_text()) | {"seconds": time.perf_counter() - began}
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    part.write_text(json.dumps(result | {"cpu_seconds": cpu, "seed": seed, "system": SIDES[side], "load": load}))
    part.replace(path)


def summary(results):
    accuracies = [100 * result["epochs"][-1]["test_accuracy"] for result in results]
    timed = [result for result in results if "seconds" in result]  # others ran beside something else
    return {
        "system": results[0]["system"], "version": results[0]["version"], "seeds": [result["seed"] for result in results],
        "test_accuracy_percent": [round(accuracy, 2) for accuracy in accuracies],
        "mean": round(statistics.mean(accuracies), 3), "standard_deviation": round(statistics.stdev(accuracies), 3),
        "mean_losses": [[round(epoch["mean_loss"], 4) for epoch in result["epochs"]] for result in results],
        "epoch_seconds": [[round(epoch["seconds"], 2) for epoch in result["epochs"]] for result in timed],
        "seconds": [round(result["seconds"], 1) for result in timed], "cpu_seconds": [round(result["cpu_seconds"], 1) for result in timed],
        "load": [round(result["load"], 1) for result in timed],
    }


def welch(first, second):
    """Welch's t-test by the project's own package of statistics."""
    samples = [",".join(map(str, side["test_accuracy_percent"])) for side in (first, second)]
    done = subprocess.run([machine.SLIPWAY, "welch", *samples], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def difference(test):
    """What the t-test says of the two sides' accuracies."""
    interval = test["Interval"]
    return (f"The means differ by {test['Difference']:+.2f} points (Slipway − PyTorch; 95 % interval {interval['low']:+.2f} … "
            f"{interval['high']:+.2f}). By chance alone they differ by as much with a probability of {test['P']:.2f} (Welch's t-test, "
            f"two-sided, t = {test['T']:.2f}, {test['DegreesOfFreedom']:.1f} degrees of freedom).")


def given(options, program):
    """Whether there is a folder of pictures to train on; says why the program skips where there is none."""
    if options.data is not None and (options.data / "train").is_dir() and (options.data / "test").is_dir():
        options.data = options.data.resolve()
        return True
    why = "no pictures are given" if options.data is None else f"{options.data} has no train/ and test/"
    print(f"{program}: skipped: {why}; give their folder with --data, or make {program} PICTURES=FOLDER", file=sys.stderr)
    return False


def build():
    machine.take_children_along()
    machine.build_slipway()
    subprocess.run(["go", "build", "-o", TRAIN, "./cmd/train"], cwd=machine.ROOT, check=True)


def write(program, path, text, sides, test):
    """Prints the page, and writes it and its figures to path, .md and .json."""
    print(text)
    path.with_suffix(".md").write_text(text)
    path.with_suffix(".json").write_text(json.dumps({"sides": sides, "welch": test, "cpu": machine.cpu()[0]}, indent=1, ensure_ascii=False) + "\n")
    print(f"{program}: written: {path}.md, {path}.json", file=sys.stderr)


def markdown(options, sides, test, images):
    import PIL
    import torch
    import torchvision
    seeds = "" if options.seeds == SEEDS else f" BENCH_FLAGS='--seeds {' '.join(map(str, options.seeds))}'"
    lines = ["# Folders of pictures: accuracy of Slipway and of PyTorch with torchvision",
             "<!-- made by scripts/bench/bench-pictures; not by hand -->",
             "\n".join(machine.header(f"make bench-pictures PICTURES={options.data.name}{seeds}") + [
                 f"- PyTorch {torch.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__}",
                 f"- Slipway on {options.threads} threads; PyTorch on {options.torch_threads}, and {options.threads} worker processes for a loader",
                 f"- load average before each run: {', '.join(str(load) for side in sides for load in side['load'])}"]),
             f"{images[0]:,} training images and {images[1]:,} test images, JPEGs of 32×32 in a folder for each class; all files of both "
             "folders. Two 3×3 convolutions (16, 16), max pooling, two (32, 32), max pooling, dense 64 and 10. Flipped and cropped with "
             f"a padding of 4 anew in each epoch, fed as (x/255 − 0.5)/0.5; batches of {BATCH} reshuffled each epoch, Adam {RATE:g}, "
             f"{options.epochs} epochs, initial weights and biases uniform in ±1/√fan_in. The sides draw their own random numbers, so "
             "equal seeds give different runs. Test accuracy in per cent after the last epoch; the test set is evaluated after each."]
    table = ["| | " + " | ".join(f"seed {seed}" for seed in options.seeds) + " | mean | standard deviation | s an epoch, median | s a run, median | CPU s a run, median |",
             "| --- |" + " ---: |" * (len(options.seeds) + 5)]
    for side in sides:
        epoch = statistics.median(seconds for run in side["epoch_seconds"] for seconds in run)
        table.append(f"| {side['system']} | " + " | ".join(f"{value:.2f}" for value in side["test_accuracy_percent"]) +
                     f" | **{side['mean']:.2f}** | {side['standard_deviation']:.2f} | {epoch:.1f} | {statistics.median(side['seconds']):.0f} | "
                     f"{statistics.median(side['cpu_seconds']):.0f} |")
    lines.append("\n".join(table))
    lines.append("\n".join(f"- {side['system']}: mean training loss of the first epoch {', '.join(f'{run[0]:.3f}' for run in side['mean_losses'])}, "
                           f"of the last {', '.join(f'{run[-1]:.3f}' for run in side['mean_losses'])}" for side in sides))
    lines.append(difference(test))
    lines.append("A run's seconds are those of the whole process: start, opening the sets, training, and evaluating the test set after each "
                 "epoch. An epoch's are training alone, reading and augmenting included. CPU seconds are those of all its threads and processes; "
                 "others on the machine change them less. Slipway decodes each file once, PyTorch in each epoch.")
    command = " ".join(str(word) for word in slipway_command(options, "SEED", "NETWORK.json", "RUNS"))
    command = command.replace(str(TRAIN), "train").replace(str(options.data), "PICTURES")
    lines.append(f"Commands:\n\n```\n{command}\npython scripts/bench/torch_pictures.py CONFIG.json\n```\n\n"
                 f"The network:\n\n```json\n{json.dumps(network())}\n```")
    return "\n\n".join(lines) + "\n"


def results(options, paths, train):
    """Trains what has no result yet, and reads the results of each side, in the order of the seeds. --fresh and --quick train all."""
    for (side, seed), path in paths.items():
        if options.fresh or options.quick:
            path.unlink(missing_ok=True)
        if not path.exists():
            train(side, seed, path)
    return {side: [json.loads(paths[side, seed].read_text()) for seed in options.seeds] for side in SIDES}


def main():
    options = arguments()
    if not given(options, "bench-pictures"):
        return
    build()
    folder = machine.CACHE / ("quick" if options.quick else "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {(side, seed): folder / f"{side}-epochs{options.epochs}-seed{seed}.json" for seed in options.seeds for side in SIDES}
    found = results(options, paths, lambda side, seed, path: train(side, options, seed, folder, path))
    sides = [summary(results) for results in found.values()]
    test = welch(*sides)
    docs = folder if options.quick else machine.DOCS
    write("bench-pictures", docs / "pictures", markdown(options, sides, test, found["pytorch"][0]["images"]), sides, test)


if __name__ == "__main__":
    main()
