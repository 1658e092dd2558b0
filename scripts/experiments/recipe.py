"""Trains experiments/recipe.yaml from many seeds in Slipway, and from some of them in PyTorch, in turns, and writes the table of
docs/recipe.md and docs/recipe.json.

Each run is a process of its own: it reads MNIST, trains, and evaluates the test set once, at the end. What a run came to is a
file in .cache/recipe/, kept until the recipe changes; --fresh runs all again. The whole takes about five minutes on two cores.
"""

import argparse
import hashlib
import json
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import machine  # noqa: E402

CACHE = machine.ROOT / ".cache" / "recipe"
WORKER = CACHE / "recipe"
PEER = machine.ROOT / "scripts" / "experiments" / "recipe_pytorch.py"
PAGE = machine.ROOT / "docs" / "recipe.md"
BEGIN, END = "<!-- made by make recipe; not by hand -->", "<!-- end of what make recipe made -->"


def arguments():
    parser = argparse.ArgumentParser(prog="make-recipe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="experiments/recipe.yaml", help="(%(default)s)")
    parser.add_argument("--seeds", type=int, default=30, help="Slipway's seeds, from 0 on (%(default)s)")
    parser.add_argument("--peer-seeds", type=int, default=5, help="PyTorch's, each right after Slipway's (%(default)s)")
    parser.add_argument("--threads", type=int, default=len(machine.all_cpus()), help="(%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="run again what has a result")
    options = parser.parse_args()
    if options.seeds < 2 or not 0 <= options.peer_seeds <= options.seeds or options.threads < 1:
        parser.error("--seeds must be at least 2, --peer-seeds at most as many, --threads at least 1")
    return options


def run(command, environment):
    began = time.perf_counter()
    done = subprocess.run([str(word) for word in command], env=environment, cwd=machine.ROOT, check=True, stdout=subprocess.PIPE)
    outcome = json.loads(done.stdout)
    outcome["process_seconds"] = time.perf_counter() - began
    return outcome


def outcomes(options, description):
    """The outcomes of each system by seed, in turns."""
    recipe = hashlib.sha256(description.read_bytes()).hexdigest()[:12]
    found = {"Slipway": [], "PyTorch": []}
    for seed in range(options.seeds):
        for system in found:
            if system == "PyTorch" and seed >= options.peer_seeds:
                continue
            path = CACHE / f"{system}-{recipe}-threads{options.threads}-seed{seed}.json"
            if options.fresh:
                path.unlink(missing_ok=True)
            if not path.exists():
                if system == "Slipway":
                    command = [WORKER, "-study", options.study, "-seed", seed, "-threads", options.threads]
                    environment = machine.clean_environment()
                else:
                    command = [machine.VENV_PYTHON, PEER, description, seed, options.threads]
                    environment = machine.peer_environment(options.threads)
                outcome = run(command, environment)
                part = path.with_suffix(".part")
                part.write_text(json.dumps(outcome))
                part.replace(path)
                print(f"make-recipe: {system}, seed {seed}: {100 * outcome['test_accuracy']:.2f} %, training "
                      f"{outcome['seconds']:.2f} s, process {outcome['process_seconds']:.2f} s", file=sys.stderr, flush=True)
            found[system].append(json.loads(path.read_text()))
    return found


def summary(results):
    accuracies = [100 * result["test_accuracy"] for result in results]
    def times(key):
        values = [result[key] for result in results]
        return {"shortest": round(min(values), 2), "median": round(statistics.median(values), 2), "longest": round(max(values), 2)}
    return {
        "system": results[0]["system"], "versions": sorted({result["version"] for result in results}),
        "seeds": [result["seed"] for result in results], "test_accuracy_percent": [round(a, 2) for a in accuracies],
        "mean": round(statistics.mean(accuracies), 3),
        "standard_deviation": round(statistics.stdev(accuracies), 3) if len(accuracies) > 1 else None,
        "lowest": round(min(accuracies), 2), "highest": round(max(accuracies), 2),
        "at_least_99": sum(a >= 99 - 1e-9 for a in accuracies),
        "training_seconds": times("seconds"), "process_seconds": times("process_seconds"),
        "mean_loss": round(statistics.mean(result["mean_loss"] for result in results), 4),
    }


def row(name, side):
    spread = "" if side["standard_deviation"] is None else f"{side['standard_deviation']:.2f}"
    training, process = side["training_seconds"], side["process_seconds"]
    return (f"| {name} | {len(side['seeds'])} | **{side['mean']:.2f} %** | {spread} | {side['lowest']:.2f} … {side['highest']:.2f} | "
            f"{side['at_least_99']} | {training['shortest']:.2f}, {training['median']:.2f} | {process['shortest']:.2f}, {process['median']:.2f} |")


def section(options, sides):
    """The lines between the two marks of the page."""
    lines = ["\n".join(machine.header("make recipe")), f"{options.threads} threads."]
    table = ["| | seeds | mean test accuracy | standard deviation | range | at least 99 % | training, seconds: shortest, median | whole process, seconds |",
             "| --- | ---: | ---: | ---: | --- | ---: | --- | --- |"]
    for name, side in sides.items():
        table.append(row(name, side))
    lines.append("\n".join(table))
    if "PyTorch" in sides:
        own, peer = sides["Slipway, in turns"], sides["PyTorch"]
        ratios = [peer[key]["median"] / own[key]["median"] for key in ("training_seconds", "process_seconds")]
        lines.append(f"PyTorch {', '.join(peer['versions'])} takes {ratios[0]:.1f} times as long to train, and {ratios[1]:.1f} times as long as a whole "
                     "process (medians of the runs in turns).")
    return "\n\n".join(lines)


def main():
    options = arguments()
    machine.take_children_along()
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", WORKER, "./scripts/experiments/recipe"], cwd=machine.ROOT, check=True)
    description = CACHE / "description.json"
    described = subprocess.run([WORKER, "-study", options.study, "-describe"], cwd=machine.ROOT, check=True, stdout=subprocess.PIPE)
    description.write_bytes(described.stdout)
    found = outcomes(options, description)
    sides = {"Slipway": summary(found["Slipway"])}
    if found["PyTorch"]:
        sides["Slipway, in turns"] = summary(found["Slipway"][:options.peer_seeds])
        sides["PyTorch"] = summary(found["PyTorch"])
    text = section(options, sides)
    print(text)
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n\n" + text + "\n\n" + END + rest.split(END)[1])
    PAGE.with_suffix(".json").write_text(json.dumps(
        {"cpu": machine.cpu()[0], "threads": options.threads, "recipe": json.loads(described.stdout), "sides": sides},
        indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
