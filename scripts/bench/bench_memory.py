"""What a process holds at most while it trains a network of the zoo, here and in PyTorch.

Each side is a process of its own that makes the network and trains it for some steps of SGD with momentum on images of noise.
The peak is Linux's VmHWM; before is the same once the libraries are loaded, before there is a network."""

import argparse
import json
import pathlib
import subprocess
import sys

from machine import ROOT, SLIPWAY, build_slipway, clean_environment, cpu, peer_environment

HERE = pathlib.Path(__file__).resolve().parent


def run(command, environment):
    done = subprocess.run([str(part) for part in command], env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18", help="a name that the zoo and torchvision share (resnet18)")
    parser.add_argument("--size", type=int, default=224, help="height and width of the images (224)")
    parser.add_argument("--batch", type=int, default=16, help="images a step (16)")
    parser.add_argument("--steps", type=int, default=1, help="steps (1)")
    parser.add_argument("--threads", type=int, default=1, help="threads to compute on (1)")
    options = parser.parse_args()
    build_slipway()
    ours = run([SLIPWAY, "memory", *(f"-{name}={value}" for name, value in vars(options).items())], clean_environment())
    theirs = run([sys.executable, HERE / "torch_memory.py", options.network, options.size, options.batch, options.steps,
                  options.threads], peer_environment(options.threads))
    print(f"{options.network}, {options.batch} images of {options.size}×{options.size}, {options.steps} steps, "
          f"{options.threads} threads, {cpu()[0]}; MiB")
    print(f"{'':24}{'before':>8}{'peak':>8}{'more':>8}")
    for name, side in [("Slipway", ours), (theirs["version"], theirs)]:
        figures = [side["before"], side["peak"], side["peak"] - side["before"]]
        print(f"{name:24}" + "".join(f"{figure / 2**20:8.0f}" for figure in figures))


if __name__ == "__main__":
    main()
