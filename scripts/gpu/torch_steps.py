#!/usr/bin/env python3
"""Times PyTorch's training step of E1 on a GPU, as gpu-check compares Slipway's with.

usage: torch_steps.py [--device cuda] [--steps 500] BATCH...

The data set lies on the device, pixels are 0...255, and each step takes its images by index, as Slipway's does; the loss is
read once in 16 steps. TF32 is off. Prints one JSON object a line: mode, batch, microseconds a step (median of 5 rounds).
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn


def network():
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 10))


class Step:
    """One training step on the next images of a set that lies on the device."""

    def __init__(self, batch, device, compiled):
        torch.manual_seed(0)
        self.batch, self.device = batch, device
        self.images = torch.randint(0, 256, (8192, 1, 28, 28), dtype=torch.uint8, device=device)
        self.labels = torch.randint(0, 10, (8192,), device=device)
        self.indices = torch.randperm(8192, device=device)[:batch].clone()
        self.model = network().to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=device == "cuda", capturable=device == "cuda")
        self.criterion = nn.CrossEntropyLoss()
        self.forward = torch.compile(self.loss) if compiled else self.loss
        self.graph = None

    def loss(self, indices):
        return self.criterion(self.model(self.images[indices].float()), self.labels[indices])

    def run(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward(self.indices)
        loss.backward()
        self.optimizer.step()
        return loss

    def capture(self):
        """Records run as a CUDA graph, after a few runs on a stream beside the default one, as PyTorch asks."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.run()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.captured = self.run()

    def step(self):
        if self.graph is None:
            return self.run()
        self.graph.replay()
        return self.captured


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def measure(step, steps):
    for i in range(32):
        step.step()
    rounds = []
    for _ in range(5):
        wait(step.device)
        began = time.perf_counter()
        for i in range(steps):
            loss = step.step()
            if i % 16 == 15:
                loss.item()
        wait(step.device)
        rounds.append((time.perf_counter() - began) / steps * 1e6)
    return statistics.median(rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("batch", type=int, nargs="+")
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    modes = ["eager", "CUDA graph", "torch.compile"] if arguments.device == "cuda" else ["eager"]
    for batch in arguments.batch:
        for mode in modes:
            line = {"mode": mode, "batch": batch, "torch": torch.__version__}
            try:
                step = Step(batch, arguments.device, mode == "torch.compile")
                if mode == "CUDA graph":
                    step.capture()
                line["microseconds"] = measure(step, arguments.steps)
            except Exception as error:  # a mode that does not work on this machine is a line of the report, not its end
                line["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
