"""Trains E1 by the experiment's protocol from five seeds in Slipway and in PyTorch, and writes docs/bench/accuracy.md and
accuracy.json: test accuracy, its mean and spread on each side, and how likely so large a difference is by chance.

The protocol: MNIST, pixels 0…255 unscaled, batches of 32 reshuffled each epoch, Adam 1e-3, 10 epochs, initial weights as
PyTorch draws them. Each seed's result is a file in .cache/bench/accuracy/: a run that was broken off goes on where it was,
and results that are there are not made again unless --fresh is given. It takes about a quarter of an hour on two cores; to
run it behind: nohup scripts/bench/bench-accuracy > accuracy.log 2>&1 &
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys

import machine


def arguments():
    parser = argparse.ArgumentParser(prog="bench-accuracy", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="(0 1 2 3 4)")
    parser.add_argument("--system", choices=["slipway", "pytorch"], action="append", help="train this one only")
    parser.add_argument("--epochs", type=int, default=10, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=len(machine.all_cpus()), help="(%(default)s)")
    parser.add_argument("--engine", help="Slipway's engine (the product's default)")
    parser.add_argument("--fresh", action="store_true", help="remove earlier results of these systems and seeds")
    parser.add_argument("--keep-build", action="store_true", help="do not build Slipway's side again")
    parser.add_argument("--quick", action="store_true", help="a smoke test: seed 0, 1 epoch; writes to .cache/bench/quick/")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.epochs = options.seeds[:1], 1
    if options.epochs < 1 or options.threads < 1 or min(options.seeds) < 0:
        parser.error("--epochs and --threads must be at least 1, --seeds at least 0")
    return options


def train(system, seed, options, path):
    part = path.with_suffix(".part")
    if system == "slipway":
        command = [machine.SLIPWAY, "accuracy", "-seed", seed, "-epochs", options.epochs, "-threads", options.threads, "-o", part]
        if options.engine:
            command += ["-engine", options.engine]
        environment = machine.clean_environment()
    else:
        command = [machine.VENV_PYTHON, machine.ROOT / "scripts" / "bench" / "torch_accuracy.py",
                   machine.CACHE / "inputs" / "e1.safetensors", seed, options.epochs, options.threads, part]
        environment = machine.peer_environment(options.threads)
    subprocess.run([str(word) for word in command], env=environment, check=True)
    part.replace(path)


def permutation_p(first, second):
    """The share of all ways to deal the results out to two sides whose means are at least as far apart."""
    pooled, size = first + second, len(first)
    distance = abs(statistics.mean(first) - statistics.mean(second))
    deals = list(itertools.combinations(range(len(pooled)), size))
    as_far = 0
    for deal in deals:
        own = [pooled[i] for i in deal]
        other = [pooled[i] for i in range(len(pooled)) if i not in deal]
        as_far += abs(statistics.mean(own) - statistics.mean(other)) >= distance - 1e-12
    return as_far / len(deals)


def summary(results):
    accuracies = [100 * result["test_accuracy"] for result in results]
    return {
        "system": results[0]["system"], "versions": sorted({result["version"] for result in results}),
        "epochs": results[0]["epochs"], "seeds": [result["seed"] for result in results],
        "test_accuracy_percent": [round(accuracy, 2) for accuracy in accuracies],
        "mean": round(statistics.mean(accuracies), 3),
        "standard_deviation": round(statistics.stdev(accuracies), 3) if len(accuracies) > 1 else None,
        "lowest": round(min(accuracies), 2), "highest": round(max(accuracies), 2),
        "mean_losses": [[round(loss, 4) for loss in result["mean_losses"]] for result in results],
        "seconds": [round(result["seconds"], 1) for result in results],
    }


def markdown(sides, p):
    lines = ["# E1: accuracy of Slipway and of PyTorch", "<!-- made by scripts/bench/bench-accuracy; not by hand -->",
             "\n".join(machine.header()),
             f"MNIST, pixels 0…255 unscaled, batches of 32 reshuffled each epoch, Adam 1e-3, {sides[0]['epochs']} epochs, initial "
             "weights and biases uniform in ±1/√fan_in. The sides draw their own random numbers, so equal seeds give different "
             "runs. Test accuracy in per cent, 10,000 images."]
    seeds = list(dict.fromkeys(seed for side in sides for seed in side["seeds"]))
    table = ["| | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean | standard deviation | range |",
             "| --- |" + " ---: |" * (len(seeds) + 3)]
    for side in sides:
        by_seed = dict(zip(side["seeds"], side["test_accuracy_percent"], strict=True))
        cells = [f"{by_seed[seed]:.2f}" if seed in by_seed else "" for seed in seeds]
        spread = "" if side["standard_deviation"] is None else f"{side['standard_deviation']:.2f}"
        table.append(f"| {side['system']} | " + " | ".join(cells) +
                     f" | **{side['mean']:.2f}** | {spread} | {side['lowest']:.2f} … {side['highest']:.2f} |")
    lines.append("\n".join(table))
    lines.append("\n".join(f"- {side['system']}: {', '.join(side['versions'])}; mean training loss of the first epoch "
                           f"{', '.join(f'{run[0]:.3f}' for run in side['mean_losses'])}, of the last "
                           f"{', '.join(f'{run[-1]:.3f}' for run in side['mean_losses'])}; "
                           f"{min(side['seconds']):.0f} … {max(side['seconds']):.0f} s a run" for side in sides))
    if p is not None:
        difference = sides[0]["mean"] - sides[1]["mean"]
        lines.append(f"The means differ by {difference:+.2f} points ({sides[0]['system']} − {sides[1]['system']}). Dealt out at "
                     f"random, the same results differ by as much in {100 * p:.0f} % of all ways (exact permutation test, "
                     "two-sided).")
    return "\n\n".join(lines) + "\n"


def main():
    options = arguments()
    machine.take_children_along()
    systems = ["slipway", "pytorch"]
    folder = machine.CACHE / ("quick" if options.quick else "accuracy")
    folder.mkdir(parents=True, exist_ok=True)
    if not options.keep_build:
        machine.build_slipway()
    inputs = machine.CACHE / "inputs" / "e1.safetensors"
    inputs.parent.mkdir(exist_ok=True)
    subprocess.run([machine.SLIPWAY, "inputs", "-network", "e1", "-o", inputs], check=True, env=machine.clean_environment())
    def path(system, seed):
        return folder / f"{system}-epochs{options.epochs}-seed{seed}.json"
    for seed in options.seeds:
        for system in options.system or systems:
            if options.fresh or options.quick:
                path(system, seed).unlink(missing_ok=True)
    for seed in options.seeds:
        for system in options.system or systems:
            if not path(system, seed).exists():
                train(system, seed, options, path(system, seed))
    found = {system: [json.loads(path(system, seed).read_text()) for seed in options.seeds if path(system, seed).exists()]
             for system in systems}
    sides = [summary(results) for results in found.values() if results]
    complete = [len(results) == len(options.seeds) for results in found.values()]
    p = permutation_p(*(side["test_accuracy_percent"] for side in sides)) if all(complete) and len(options.seeds) > 1 else None
    text = markdown(sides, p)
    print(text)
    docs = folder if options.quick else machine.DOCS
    if not all(complete):
        sys.exit("bench-accuracy: a side has seeds without a result; nothing was written")
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "accuracy.md").write_text(text)
    (docs / "accuracy.json").write_text(json.dumps({"sides": sides, "permutation_p": p, "cpu": machine.cpu()[0]},
                                                   indent=1, ensure_ascii=False) + "\n")
    print(f"bench-accuracy: written: {docs / 'accuracy.md'}, {docs / 'accuracy.json'}", file=sys.stderr)


if __name__ == "__main__":
    main()
