"""Trains on a tenth of CIFAR-10's pictures from several seeds, from nothing and from a pretrained network, and writes
docs/bench/few-labels.md and few-labels.json: test accuracy, its mean and spread on each side, and how likely so large a
difference is by chance.

--data is a folder with train/ and test/ of a folder for each class. Each seed draws its own tenth, the same number of each
class, and both sides train on it. What is trained is exported, and onnxruntime evaluates the graph on the whole test set.
Each seed's result is a file in .cache/bench/few-labels/: results that are there are not made again unless --fresh is given.
"""

import argparse
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys

import machine

COMMANDS = ["train", "export", "infer"]
SEEDS = [0, 1, 2]
SHARE = 10
MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
PRETRAINED, SIZE = "efficientnet_lite0", 128
SIDES = {"nothing": "ResNet-20 from nothing", "pretrained": f"{PRETRAINED}, pretrained on ImageNet"}


def arguments():
    parser = argparse.ArgumentParser(prog="bench-few-labels", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with train/ and test/; without it nothing is trained")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="(0 1 2)")
    parser.add_argument("--threads", type=int, default=len(machine.all_cpus()), help="(%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="remove earlier results of these seeds")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 2 epochs; writes to .cache/bench/quick-few-labels/")
    options = parser.parse_args()
    if options.threads < 1 or min(options.seeds) < 0 or len(set(options.seeds)) < 2:
        parser.error("--threads must be at least 1, --seeds at least 0, and two of them")
    return options


def tenth(data, seed, folder):
    """Copies a tenth of the training pictures of each class, drawn by the seed, into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    draw = random.Random(seed)
    for kind in sorted(path for path in (data / "train").iterdir() if path.is_dir()):
        pictures = sorted(path for path in kind.iterdir() if path.is_file())
        (folder / kind.name).mkdir(parents=True)
        for picture in draw.sample(pictures, len(pictures) // SHARE):
            shutil.copy(picture, folder / kind.name / picture.name)
    return folder


def command(side, data, seed, runs, options):
    epochs = 2 if options.quick else 60 if side == "nothing" else 10
    common = ["-data", data, "-test", "none", "-epochs", epochs, "-seed", seed, "-threads", options.threads, "-runs", runs, "-name", side]
    if side == "nothing":
        pixels = f"mean={','.join(map(str, MEAN))},std={','.join(map(str, STD))}"
        return ["-network", "resnet20", "-pixels", pixels, "-augment", "flip,crop=4", "-optimizer", "sgd", "-lr", 0.2, "-momentum", 0.9,
                "-nesterov", "-weight-decay", 5e-4, "-decay", "weights", "-schedule", "one-cycle", "-batch", 128, *common]
    return ["-from", PRETRAINED, "-head", "auto", "-resize", SIZE, "-augment", "flip", "-features", "once", "-freeze", "trunk",
            "-freeze-until", epochs // 2 + 1, "-freeze-statistics", "*", "-lr", "head=1e-3,*=1e-4", "-batch", 32, *common]


def run(name, *words):
    done = subprocess.run([machine.CACHE / name, *(str(word) for word in words)], env=machine.clean_environment(), check=True,
                          stdout=subprocess.PIPE, text=True)
    return done.stdout


def train(side, seed, folder, path, options):
    runs, graph = folder / "runs", folder / f"{side}-{seed}.onnx"
    shutil.rmtree(runs / side, ignore_errors=True)
    data = tenth(options.data, seed, folder / "tenth")
    print(run("train", *command(side, data, seed, runs, options)), file=sys.stderr)
    run("export", "-run", runs / side, "-o", graph, "-verify", "none")
    answer = json.loads(run("infer", "-model", graph, "-data", options.data / "test", "-device", "cpu", "-json"))
    shutil.rmtree(graph.with_suffix(""), ignore_errors=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"seed": seed, "commit": options.commit, "system": SIDES[side], "accuracy": answer["accuracy"], "images": answer["images"],
                                "trained_on": sum(1 for _ in data.glob("*/*")), "runtime": answer["runtime"], "version": answer["version"],
                                "cpu": machine.cpu()[0]}))
    part.replace(path)


def markdown(options, found, test):
    first = found["nothing"][0]
    lines = ["# A tenth of the labels: from nothing, and from a pretrained network",
             "<!-- made by scripts/bench/bench-few-labels; not by hand -->",
             "\n".join(machine.header(f"make bench-few-labels PICTURES={options.data.name}") +
                       [f"- each run's Slipway: {', '.join(sorted({result['commit'] for results in found.values() for result in results}))}",
                        f"- each run's CPU: {', '.join(sorted({result['cpu'] for results in found.values() for result in results}))}"]),
             f"{first['trained_on']:,} training images of CIFAR-10, a tenth of each class, which the seed draws; both sides have the same. "
             f"{first['images']:,} test images. {first['runtime']} {first['version']} evaluates the exported graph. Test accuracy in per cent; "
             "higher is better."]
    table = ["| | " + " | ".join(f"seed {seed}" for seed in options.seeds) + " | mean | standard deviation |",
             "| --- |" + " ---: |" * (len(options.seeds) + 2)]
    for results in found.values():
        values = [100 * result["accuracy"] for result in results]
        table.append(f"| {results[0]['system']} | " + " | ".join(f"{value:.2f}" for value in values) +
                     f" | **{statistics.mean(values):.2f}** | {statistics.stdev(values):.2f} |")
    lines.append("\n".join(table))
    lines.append(f"The means differ by {test['Difference']:+.2f} points (95 % interval {test['Interval']['low']:+.2f} … "
                 f"{test['Interval']['high']:+.2f}; Welch's t-test, two-sided, p = {test['P']:.2g}).")
    lines.append(f"From nothing: ResNet-20 on 32×32 pixels, flips and crops, one cycle of 60 epochs. Pretrained: the pictures are brought to {SIZE}×{SIZE}; "
                 "5 epochs of the head alone, 5 of everything, with flips. The two recipes take different times and were not tuned against each other.")
    shown = []
    for side in SIDES:
        text = " ".join(str(word) for word in ["train", *command(side, pathlib.Path("TENTH"), "SEED", "RUNS", options)])
        shown.append(text)
    lines.append("Commands:\n\n```\n" + "\n".join(shown) + "\n```")
    return "\n\n".join(lines) + "\n"


def main():
    options = arguments()
    if options.data is None or not (options.data / "train").is_dir() or not (options.data / "test").is_dir():
        print("bench-few-labels: skipped: no folder with train/ and test/ is given; make bench-few-labels PICTURES=FOLDER", file=sys.stderr)
        return
    options.data = options.data.resolve()
    machine.take_children_along()
    machine.build_slipway()
    options.commit = machine.commit()  # what is built now; the page may be written commits later
    subprocess.run(["go", "build", "-o", machine.CACHE, *(f"./cmd/{name}" for name in COMMANDS)], cwd=machine.ROOT, check=True)
    folder = machine.CACHE / ("quick-few-labels" if options.quick else "few-labels")
    folder.mkdir(parents=True, exist_ok=True)
    found = {side: [] for side in SIDES}
    for seed in options.seeds:
        for side in SIDES:
            path = folder / f"{side}-{seed}.json"
            if options.fresh or options.quick or not path.exists():
                train(side, seed, folder, path, options)
            found[side].append(json.loads(path.read_text()))
    samples = [",".join(str(100 * result["accuracy"]) for result in found[side]) for side in ("pretrained", "nothing")]
    test = json.loads(subprocess.run([machine.SLIPWAY, "welch", *samples], check=True, capture_output=True, text=True).stdout)
    text = markdown(options, found, test)
    print(text)
    docs = folder if options.quick else machine.DOCS
    (docs / "few-labels.md").write_text(text)
    (docs / "few-labels.json").write_text(json.dumps({"results": found, "welch": test}, indent=1, ensure_ascii=False) + "\n")
    print(f"bench-few-labels: written: {docs / 'few-labels'}.md, .json", file=sys.stderr)


if __name__ == "__main__":
    main()
