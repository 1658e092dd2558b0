"""Golden values of optimizers with a learning rate by group, for train/testdata: three parameters in groups of their own,
the last of which joins the optimizer after some steps, as a layer does that was frozen until then, and a factor of all
rates that falls from step to step."""

import torch
from timm.optim.lion import Lion

from golden_file import Golden
from optimizers import settings

STEPS, JOINS = 6, 3
RATES = [0.05, 0.002, 0.01]
CASES = [
    ("adam", torch.optim.Adam, {"weight_decay": 0.1}),
    ("adamw", torch.optim.AdamW, {"weight_decay": 0.5}),
    ("sgd", torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ("rmsprop", torch.optim.RMSprop, {"momentum": 0.9}),
    ("lion", Lion, {"weight_decay": 0.1}),
]


def main():
    generator = torch.Generator().manual_seed(11)
    golden = Golden()
    for i, (name, optimizer, options) in enumerate(CASES):
        parameters = [torch.randn(size, generator=generator).requires_grad_() for size in (4, 5, 3)]
        groups = [{"params": [p], "lr": rate} for p, rate in zip(parameters[:2], RATES)]
        rule = optimizer(groups, foreach=False, **options)
        tensors = {f"p{j}": p.detach().clone() for j, p in enumerate(parameters)}
        factors = [1 - step / (2 * STEPS) for step in range(STEPS)]
        for step, factor in enumerate(factors):
            if step == JOINS:
                rule.add_param_group({"params": [parameters[2]], "lr": RATES[2]})
            for j, p in enumerate(parameters):
                # What is frozen has no gradient.
                if j < 2 or step >= JOINS:
                    p.grad = torch.randn(p.shape, generator=generator)
                    tensors[f"g{j} step {step + 1}"] = p.grad.clone()
            for group, rate in zip(rule.param_groups, RATES):
                group["lr"] = rate * factor
            rule.step()
            for j, p in enumerate(parameters):
                tensors[f"p{j} step {step + 1}"] = p.detach().clone()
        golden.add(f"{i} {name} {options}".replace("/", " "),
                   {"optimizer": {"name": name, **settings(options)}, "rates": RATES, "factors": factors, "joins": JOINS},
                   **tensors)
    golden.write("train/testdata/groups.safetensors", steps=STEPS)


if __name__ == "__main__":
    main()
