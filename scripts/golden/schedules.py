"""Golden values of every learning-rate schedule, for train/testdata: the factor of each step, which is the rate of a
PyTorch scheduler over a rate of 1."""

import torch
from torch.optim import lr_scheduler

from golden_file import Golden


def linear(optimizer, steps, final=0.0):
    return lr_scheduler.LinearLR(optimizer, start_factor=1, end_factor=final, total_iters=steps)


def cosine(optimizer, steps, final=0.0):
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=final)


def one_cycle(optimizer, steps, warmup=None, first=None, final=None):
    """What is not given is PyTorch's default."""
    options = {}
    if warmup is not None:
        options["pct_start"] = warmup
    if first is not None:
        options["div_factor"] = 1 / first
    if final is not None:
        options["final_div_factor"] = (first or 1 / 25) / final
    return lr_scheduler.OneCycleLR(optimizer, max_lr=1, total_steps=steps, cycle_momentum=False, **options)


CASES = [
    ("linear", linear, 7, {}),
    ("linear", linear, 100, {"final": 0.1}),
    ("cosine", cosine, 7, {}),
    ("cosine", cosine, 100, {"final": 0.1}),
    ("one-cycle", one_cycle, 100, {}),
    ("one-cycle", one_cycle, 1875, {"warmup": 0.25, "first": 0.1, "final": 0.01}),
    ("one-cycle", one_cycle, 37, {"warmup": 0.6, "first": 0.2, "final": 0.5}),
    ("one-cycle", one_cycle, 3, {"warmup": 0.1}),  # the warm-up has no step
    ("one-cycle", one_cycle, 1, {}),
]


def main():
    golden = Golden()
    for i, (name, schedule, steps, settings) in enumerate(CASES):
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        scheduler = schedule(optimizer, steps, **settings)
        factors = []
        for _ in range(steps):
            factors.append(scheduler.get_last_lr()[0])
            optimizer.step()
            if len(factors) < steps:
                scheduler.step()
        golden.add(f"{i} {name} {steps} {settings}", {"schedule": {"name": name, **settings}}, factors=factors)
    golden.write("train/testdata/schedules.safetensors")


if __name__ == "__main__":
    main()
