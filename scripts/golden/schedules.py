"""Golden values of every learning-rate schedule, for train/testdata: the factor of each step, which is the rate of a
PyTorch scheduler over a rate of 1."""

import math

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


def steps_at(optimizer, steps, milestones, gamma=0.1):
    return lr_scheduler.MultiStepLR(optimizer, milestones, gamma)


def restarts(optimizer, steps, length, factor=1, final=0.0):
    return lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=length, T_mult=factor, eta_min=final)


def warmup_stable_decay(optimizer, steps, rise, fall, shape, first=0.01, final=0.0):
    """Hägele et al. (2024), formulas 1 and 2, with PyTorch's classes for the parts that it has."""
    if shape == "linear":
        down = lr_scheduler.LinearLR(optimizer, start_factor=1, end_factor=final, total_iters=fall)
    else:
        down = lr_scheduler.LambdaLR(optimizer, lambda n: 1 - (1 - final) * math.sqrt(n / fall))
    parts = [constant(optimizer, steps), down]
    ends = [steps - fall]
    if rise:
        parts = [lr_scheduler.LinearLR(optimizer, start_factor=first, total_iters=rise), *parts]
        ends = [rise, *ends]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=ends)


def after_a_rise(optimizer, rise, schedule, first=0.01):
    parts = [lr_scheduler.LinearLR(optimizer, start_factor=first, total_iters=rise), schedule]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[rise])


# Schedules that count in epochs: the settings, steps of an epoch, epochs, and what PyTorch calls them, in steps.
IN_EPOCHS = [
    ({"name": "step", "milestones": [2, 5]}, 4, 7, lambda o: steps_at(o, 28, [8, 20])),
    ({"name": "step", "milestones": [3, 4, 9], "gamma": 0.5}, 3, 10, lambda o: steps_at(o, 30, [9, 12, 27], 0.5)),
    ({"name": "step", "milestones": [2, 3], "warmup_epochs": 1.5}, 4, 5, lambda o: after_a_rise(o, 6, steps_at(o, 14, [2, 6]))),
    ({"name": "cosine-restarts", "restart_epochs": 2}, 5, 7, lambda o: restarts(o, 35, 10)),
    ({"name": "cosine-restarts", "restart_epochs": 1, "restart_factor": 2, "final": 0.1}, 5, 8, lambda o: restarts(o, 40, 5, 2, 0.1)),
    ({"name": "cosine-restarts", "restart_epochs": 1, "restart_factor": 3, "warmup_epochs": 2, "first": 0.1}, 5, 10, lambda o: after_a_rise(o, 10, restarts(o, 40, 5, 3), 0.1)),
    ({"name": "wsd"}, 5, 10, lambda o: warmup_stable_decay(o, 50, 0, 10, "1-sqrt")),
    ({"name": "wsd", "warmup": 0.1, "cooldown": 0.5, "final": 0.05}, 5, 8, lambda o: warmup_stable_decay(o, 40, 4, 20, "1-sqrt", final=0.05)),
    ({"name": "wsd", "warmup_epochs": 1, "first": 0.2, "cooldown": 0.3, "cooldown_shape": "linear"}, 4, 10, lambda o: warmup_stable_decay(o, 40, 4, 12, "linear", first=0.2)),
]

# Schedules that watch a measure: the settings, the measure, and PyTorch's for the same.
WATCHING = [
    ({"plateau_patience": 2}, "validation-loss", {"patience": 2}),
    ({"plateau_patience": 1, "gamma": 0.5, "final": 0.2, "plateau_threshold": 0.05}, "training-loss", {"patience": 1, "factor": 0.5, "min_lr": 0.2, "threshold": 0.05}),
    ({"plateau_patience": 3, "gamma": 0.3, "plateau_threshold": 0.01}, "validation-accuracy", {"patience": 3, "factor": 0.3, "threshold": 0.01, "mode": "max"}),
]
EPOCHS = 40


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


def add(golden, name, settings, count, schedule, steps):
    """Adds the factors of so many steps."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = schedule(optimizer)
    factors = []
    for _ in range(count):
        factors.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if len(factors) < count:
            scheduler.step()
    golden.add(name, {"schedule": settings, "steps": steps}, factors=factors)


def watch(golden, i, settings, measure, options):
    """Adds a measure after each epoch, which gets better by less and less, and the factor after it."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, eps=0, **options)
    generator = torch.Generator().manual_seed(i)
    noise = torch.rand(EPOCHS, generator=generator)
    away = 1 / (torch.arange(EPOCHS) + 1.0) + 0.1 * noise
    values = 1 - 0.5 * away if measure.endswith("accuracy") else away
    factors = []
    for value in values:
        scheduler.step(value.item())
        factors.append(optimizer.param_groups[0]["lr"])
    golden.add(f"watching {i} {settings}", {"schedule": {"name": "plateau", **settings}, "best": measure}, values=values, factors=factors)


def main():
    golden = Golden()
    for i, (settings, per_epoch, epochs, schedule) in enumerate(IN_EPOCHS):
        if settings["name"] == "wsd":
            settings = {**settings, "epochs": epochs}
        add(golden, f"epochs {i} {settings}", settings, per_epoch * epochs, schedule, steps=per_epoch)
    for i, (settings, measure, options) in enumerate(WATCHING):
        watch(golden, i, settings, measure, options)
    for i, (name, schedule, steps, settings) in enumerate(CASES):
        add(golden, f"{i} {name} {steps} {settings}", {"name": name, **settings}, steps, lambda o: schedule(o, steps, **settings), steps=steps)
    golden.write("train/testdata/schedules.safetensors")


if __name__ == "__main__":
    main()
