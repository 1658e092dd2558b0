"""Goes the whole way with a user's photographs at 64×64 and at 224×224, by the commands alone, and writes docs/photographs.md
and photographs.csv: train with random resized crops and flips, evaluate, export, evaluate the graph, and ask infer for each
single photograph. It fails where a single answer is not that of the evaluation: another file, label or name, or a probability
that differs by more than 0.00001.

--data is a folder with train/ and val/ of a folder for each class, such as hymenoptera_data
(https://download.pytorch.org/tutorial/hymenoptera_data.zip): 397 photographs of ants and bees and one file that is none.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))
import machine  # noqa: E402

CLOSE = 1e-5
BATCH, RATE, SEED = 16, 1e-3, 1
# Size of an image, filters of the convolutions, epochs.
STUDIES = [(64, [16, 32, 32], 30), (224, [16, 16, 32, 32, 32], 20)]


def network(size, filters):
    """3×3 convolutions, each with ReLU and max pooling; the first is of stride 2 instead of pooled where the image is large."""
    def square(length):
        return {"height": length, "width": length}
    layers = []
    def add(kind, name, **fields):
        layers.append({"kind": kind, "layer": {"name": name, **fields}})
    for number, count in enumerate(filters, 1):
        strided = size > 100 and number == 1
        add("Conv2D", f"conv{number}", filters=count, kernel=square(3), stride=square(2 if strided else 1), padding=square(1))
        add("ReLU", f"relu{number}")
        if not strided:
            add("MaxPool2D", f"pool{number}", kernel=square(2), stride=square(2), padding=square(0))
    add("Flatten", "flatten1")
    add("Dense", "fc1", units=32)
    add("ReLU", f"relu{len(filters) + 1}")
    add("Dense", "fc2", units=2)
    return {"name": f"photographs-{size}", "input": [3, size, size], "layers": layers}


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def odd_files(folder):
    """The files that do not begin as a JPEG does, and what they begin with."""
    odd = []
    for path in files_of(folder):
        with path.open("rb") as file:
            begin = file.read(10)
        if not begin.startswith(b"\xff\xd8\xff"):
            kind = "another file"
            if begin[:6] in (b"GIF87a", b"GIF89a"):
                kind = f"a GIF of {int.from_bytes(begin[6:8], 'little')}×{int.from_bytes(begin[8:10], 'little')} pixels (width × height)"
            odd.append((path.relative_to(folder), kind))
    return odd


class Commands:
    """Runs the commands in bin/, and keeps what was run for the page."""

    def __init__(self, data, scratch):
        self.data, self.scratch, self.told = data, scratch, []

    def run(self, name, *words, quiet=False):
        program = ("slipway", name) if name == "export" else (name,)  # export is the shells' own word
        command = [str(word) for word in (ROOT / "bin" / program[0], *program[1:], *words)]
        if not quiet:
            text = " ".join(command).replace(str(ROOT / "bin") + "/", "").replace(str(self.data), self.data.name)
            self.told.append(text.replace(str(self.scratch) + "/", ""))
            print(f"make-photographs: {self.told[-1]}", file=sys.stderr, flush=True)
        done = subprocess.run(command, cwd=ROOT, env=machine.clean_environment(), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"make-photographs: {' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


def probabilities(logits):
    highest = max(logits)
    powers = [math.exp(logit - highest) for logit in logits]
    return [power / sum(powers) for power in powers]


def evaluation(path, names):
    """Of each file the label, what is answered, and the probabilities, from infer's -o."""
    answers = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            logits = [float(row[f"logit_{k}"]) for k in range(len(names))]
            answers[row["file"]] = int(row["label"]), int(row["prediction"]), probabilities(logits)
    return answers


def compare(commands, model, validation, answers, names):
    """Asks for each photograph alone. Returns a row for each, and the largest difference of a probability."""
    rows, worst, wrong = [], 0.0, []
    for path in files_of(validation):
        name = path.relative_to(validation).as_posix()
        single = json.loads(commands.run("infer", "-model", model, "-json", "-top", len(names), path, quiet=True))
        label, prediction, expected = answers[name]
        differ = max(abs(answer["probability"] - expected[answer["class"]]) for answer in single["top"])
        worst = max(worst, differ)
        first = single["top"][0]
        named = all(answer["name"] == names[answer["class"]] for answer in single["top"])
        if first["class"] != prediction or names[label] != path.parent.name or not named or differ > CLOSE:
            wrong.append(name)
        rows.append({"file": name, "label": names[label], "evaluation": names[prediction],
                     "evaluation probability": f"{expected[prediction]:.6f}", "single": first["name"],
                     "single probability": f"{first['probability']:.6f}"})
    if len(rows) != len(answers):
        sys.exit(f"make-photographs: the evaluation has {len(answers)} images, the folder {len(rows)}")
    return rows, worst, wrong


def study(commands, size, filters, epochs):
    data, scratch = commands.data, commands.scratch
    description, model, table = scratch / f"network-{size}.json", scratch / f"photographs-{size}.onnx", scratch / f"answers-{size}.csv"
    description.write_text(json.dumps(network(size, filters)))
    began = time.perf_counter()
    commands.run("train", "-data", data / "train", "-test", data / "val", "-network", description, "-resize", size, "-augment",
                 "random-resized-crop,flip", "-pixels", "imagenet", "-epochs", epochs, "-batch", BATCH, "-lr", RATE, "-seed", SEED,
                 "-runs", scratch / "runs", "-name", f"photographs-{size}")
    seconds = time.perf_counter() - began
    history = json.loads((scratch / "runs" / f"photographs-{size}" / "history.json").read_text())
    exported = commands.run("export", "-run", scratch / "runs" / f"photographs-{size}", "-o", model, "-verify", "onnxruntime,native")
    judged = json.loads(commands.run("infer", "-model", model, "-data", data / "val", "-json", "-o", table))
    names = [entry["name"] for entry in judged["classes"]]
    rows, worst, wrong = compare(commands, model, data / "val", evaluation(table, names), names)
    right = sum(row["single"] == row["label"] for row in rows)
    if right != judged["correct"]:
        wrong.append(f"{right} right answers alone, {judged['correct']} in the evaluation")
    verified = [re.sub(r", [\d,]+ images/s", "", line) for line in exported.splitlines() if "largest logit difference" in line]
    return {"size": size, "epochs": epochs, "seconds": seconds, "loss": [history[0]["mean_loss"], history[-1]["mean_loss"]],
            "trainer": history[-1]["test_accuracy"], "images": judged["images"], "accuracy": judged["accuracy"], "right": right,
            "runtime": f"{judged['runtime']} {judged['version']}", "verified": verified, "rows": rows, "worst": worst, "wrong": wrong}


def markdown(options, studies, odd, commands, load):
    data = options.data
    counts = [len(files_of(data / part)) for part in ("train", "val")]
    lines = ["# Photographs, the whole way", "<!-- made by scripts/photographs/make-photographs; not by hand -->",
             "\n".join(machine.header(f"make photographs PHOTOGRAPHS={data.name}") + [f"- load average {load}"]),
             f"{counts[0]} files of ants and bees to train on and {counts[1]} to test on, of mixed sizes. A small network is trained at each "
             "size with random resized crops and flips, exported and asked for each photograph alone. So few photographs teach a small "
             "network little; what is shown is that each step says the same as the one before."]
    table = ["| size | epochs | s | mean loss, first epoch | last | trainer, test accuracy | graph, evaluated | single photographs | "
             "largest difference of a probability |", "| --- |" + " ---: |" * 8]
    table += [f"| {s['size']}×{s['size']} | {s['epochs']} | {s['seconds']:.0f} | {s['loss'][0]:.3f} | {s['loss'][1]:.3f} | "
              f"{100 * s['trainer']:.2f} % | {100 * s['accuracy']:.2f} % | {s['right']} of {s['images']}, {100 * s['right'] / s['images']:.2f} % | "
              f"{s['worst']:.1e} |" for s in studies]
    lines.append("\n".join(table))
    for s in studies:
        lines.append(f"At {s['size']}×{s['size']} " + (f"**these differ: {', '.join(s['wrong'])}**." if s["wrong"] else
                     f"all {s['images']} single answers have the evaluation's label, name and probabilities; both by {s['runtime']}."))
    lines.append("Verified at export:\n\n" + "\n".join(f"- {s['size']}×{s['size']}: {line}" for s in studies for line in s["verified"]))
    found = [f"- `{name}` is {kind}" for name, kind in odd]
    lines.append("## What is no photograph\n\n" + ("\n".join(found) + "\n\nEvery other file is a JPEG. This one says that an image was not "
                 "found. It is a sound picture, so nothing refuses it: it is trained on as its folder says, as any picture of the wrong thing is. "
                 "torchvision's ImageFolder passes GIFs over." if found else "Every file is a JPEG."))
    head = studies[0]["rows"][:3] + studies[0]["rows"][-3:]
    lines.append("## Single photographs\n\nThe first and last three of `photographs.csv`, which has all:\n\n"
                 "| file | evaluation, 64×64 | alone | evaluation, 224×224 | alone |\n| --- | --- | --- | --- | --- |\n" + "\n".join(
                     f"| {row['file']} | " + " | ".join(
                         f"{other['evaluation']} {other['evaluation probability']} | {other['single']} {other['single probability']}"
                         for s in studies for other in s["rows"] if other["file"] == row["file"]) + " |" for row in head))
    told = "\n".join(commands.told + [f"infer -model photographs-{STUDIES[0][0]}.onnx -json -top 2 {data.name}/val/ants/FILE.jpg   # for each file"])
    lines.append(f"## Commands\n\n```\n{told}\n```\n\nThe networks:\n\n```json\n" +
                 "\n".join(json.dumps(network(size, filters)) for size, filters, _ in STUDIES) + "\n```")
    return "\n\n".join(lines) + "\n"


def write_table(path, studies):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["size", *studies[0]["rows"][0]], lineterminator="\n")
        writer.writeheader()
        for s in studies:
            writer.writerows({"size": s["size"], **row} for row in s["rows"])


def main():
    parser = argparse.ArgumentParser(prog="make-photographs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with train/ and val/; without it nothing is done")
    parser.add_argument("--docs", type=pathlib.Path, default=ROOT / "docs", help="folder of the page (docs)")
    options = parser.parse_args()
    if options.data is None or not (options.data / "train").is_dir() or not (options.data / "val").is_dir():
        why = "no photographs are given" if options.data is None else f"{options.data} has no train/ and val/"
        print(f"make-photographs: skipped: {why}; give their folder with --data, or make photographs PHOTOGRAPHS=FOLDER", file=sys.stderr)
        return
    options.data, load = options.data.resolve(), os.getloadavg()[0]
    machine.take_children_along()
    with tempfile.TemporaryDirectory() as scratch:
        commands = Commands(options.data, pathlib.Path(scratch))
        studies = [study(commands, *each) for each in STUDIES]
    text = markdown(options, studies, odd_files(options.data), commands, f"{load:.2f}, after {os.getloadavg()[0]:.2f}")
    options.docs.mkdir(parents=True, exist_ok=True)
    (options.docs / "photographs.md").write_text(text)
    write_table(options.docs / "photographs.csv", studies)
    print(text)
    wrong = [name for s in studies for name in s["wrong"]]
    if wrong:
        sys.exit(f"make-photographs: single answers differ from the evaluation: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
