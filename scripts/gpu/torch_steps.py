#!/usr/bin/env python3
"""Times PyTorch's training step of E1 on a GPU, as gpu-check compares Slipway's with.

usage: torch_steps.py [--device cuda] [--steps 500] BATCH...

The data set lies on the device, pixels are 0...255, and each step takes its images by index, as Slipway's does; the loss is
read once in 16 steps. cuDNN chooses by measurement (benchmark). The modes are eager, as a CUDA graph and compiled; in float32,
which comes first, with TF32 and in bfloat16 (autocast); contiguous and channels last. Prints one JSON object a line: mode, batch,
microseconds a step (median of 5 rounds).
"""
import argparse
import itertools
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

    def __init__(self, batch, device, compiled, precision="float32", layout="contiguous"):
        torch.manual_seed(0)
        self.batch, self.device, self.half = batch, device, precision == "bfloat16"
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "TF32"
        self.layout = torch.channels_last if layout == "channels last" else torch.contiguous_format
        self.images = torch.randint(0, 256, (8192, 1, 28, 28), dtype=torch.uint8, device=device)
        self.labels = torch.randint(0, 10, (8192,), device=device)
        self.indices = torch.randperm(8192, device=device)[:batch].clone()
        self.model = network().to(device, memory_format=self.layout)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=device == "cuda", capturable=device == "cuda")
        self.criterion = nn.CrossEntropyLoss()
        self.forward = torch.compile(self.loss) if compiled else self.loss
        self.graph = None

    def loss(self, indices):
        images = self.images[indices].float().contiguous(memory_format=self.layout)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.half):
            logits = self.model(images)
        return self.criterion(logits.float(), self.labels[indices])

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
    torch.backends.cudnn.benchmark = True
    ways = ["CUDA graph", "eager", "torch.compile"] if arguments.device == "cuda" else ["eager"]
    # The most telling first: the time may end.
    variants = [("float32", "contiguous"), ("float32", "channels last"), ("TF32", "channels last"), ("bfloat16", "channels last"),
                ("TF32", "contiguous"), ("bfloat16", "contiguous")]
    for precision, layout in variants:
        for batch, way in itertools.product(arguments.batch, ways):
            line = {"mode": f"{way}, {precision}, {layout}", "batch": batch, "torch": torch.__version__}
            try:
                step = Step(batch, arguments.device, way == "torch.compile", precision, layout)
                if way == "CUDA graph":
                    step.capture()
                line["microseconds"] = measure(step, arguments.steps)
            except Exception as error:  # a mode that does not work on this machine is a line of the report, not its end
                line["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
