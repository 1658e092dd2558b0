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


def constant(optimizer, steps):
    return lr_scheduler.ConstantLR(optimizer, factor=1, total_iters=steps)


def warmed_up(schedule):
    """The schedule after a linear rise over a share of the steps; of a constant rate, over a number of epochs, of
    which these steps are one."""

    def sequence(optimizer, steps, warmup=None, warmup_epochs=None, first=0.01, **settings):
        rise = round((warmup or warmup_epochs) * steps)
        parts = [lr_scheduler.LinearLR(optimizer, start_factor=first, total_iters=rise), schedule(optimizer, steps - rise, **settings)]
        return lr_scheduler.SequentialLR(optimizer, parts, milestones=[rise])

    return sequence


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
    ("constant", warmed_up(constant), 50, {"warmup_epochs": 0.3}),
    ("constant", warmed_up(constant), 50, {"warmup_epochs": 0.5, "first": 1 / 3}),
    ("linear", warmed_up(linear), 40, {"warmup": 0.25, "final": 0.1}),
    ("cosine", warmed_up(cosine), 100, {"warmup": 0.05, "first": 0.001}),
    ("cosine", warmed_up(cosine), 60, {"warmup_epochs": 0.1, "final": 0.01}),
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
