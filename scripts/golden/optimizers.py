"""Golden values of every optimizer, for train/testdata: two parameters, five gradients, the parameters after each step
and PyTorch's state after the last. In float32, whose underflow is part of what an optimizer does. Lion is timm's. Muon is
PyTorch's, whose Newton-Schulz steps are in bfloat16: here they are in float32, too. What is no matrix is AdamW's there."""

from unittest import mock

import torch
from timm.optim.lion import Lion

from golden_file import Golden

STEPS = 5
CASES = [
    ("adam", torch.optim.Adam, {}),
    ("adam", torch.optim.Adam, {"weight_decay": 0.1}),
    ("adam", torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4}),
    ("adamw", torch.optim.AdamW, {"weight_decay": 0.01}),
    ("adamw", torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.5}),
    ("sgd", torch.optim.SGD, {}),
    ("sgd", torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.1}),
    ("sgd", torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    ("sgd", torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("sgd", torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("rmsprop", torch.optim.RMSprop, {}),
    ("rmsprop", torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("rmsprop", torch.optim.RMSprop, {"lr": 0.001, "momentum": 0.9, "weight_decay": 0.1}),
    ("lion", Lion, {}),
    ("lion", Lion, {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.3}),
    ("muon", torch.optim.Muon, {}),
    ("muon", torch.optim.Muon, {"lr": 0.02, "weight_decay": 0.1}),
    ("muon", torch.optim.Muon, {"lr": 0.05, "momentum": 0.8, "betas": (0.8, 0.95), "eps": 1e-4}),
]
# Of the first parameter, by the case's place. Muon's have more rows than columns, fewer, and more than a vector has lanes.
SHAPES = {15: (7, 3), 16: (40, 3, 3, 3), 17: (24, 130)}


def muon(parameters, lr=1e-3, momentum=0.95, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Muon of the first parameter, a filter as a row, with the rate that makes steps as large as AdamW's (Liu et al., 2025), and AdamW of
    the second."""
    matrix = parameters[0].detach().flatten(1).requires_grad_()
    return matrix, [torch.optim.Muon([matrix], lr=lr, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
                    torch.optim.AdamW(parameters[1:], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=False)]


def settings(options):
    """PyTorch's options under the names of train.OptimizerConfig."""
    names = {"lr": "learning_rate", "eps": "epsilon"}
    out = {names.get(key, key): value for key, value in options.items() if key != "betas"}
    if "betas" in options:
        out["beta1"], out["beta2"] = options["betas"]
    return out


def rules(name, optimizer, parameters, options):
    """What updates the parameters, and each of them as its rule sees it."""
    if name == "muon":
        matrix, both = muon(parameters, **options)
        return both, [matrix, parameters[1]]
    return [optimizer(parameters, foreach=False, **options)], parameters


def main():
    generator = torch.Generator().manual_seed(5)
    golden = Golden()
    for i, (name, optimizer, options) in enumerate(CASES):
        parameters = [torch.randn(SHAPES.get(i, (3, 4)), generator=generator).requires_grad_(), torch.randn(5, generator=generator).requires_grad_()]
        used, seen = rules(name, optimizer, parameters, options)
        tensors = {f"p{j}": p.detach().clone() for j, p in enumerate(parameters)}
        for step in range(STEPS):
            for j, p in enumerate(parameters):
                gradient = torch.randn(p.shape, generator=generator)
                if name != "muon":
                    # Gradients of 0, ones whose square is 0, and large ones.
                    gradient.view(-1)[:3] = torch.tensor([0.0, 1e-30, 1e10])
                seen[j].grad = gradient.view_as(seen[j])
                tensors[f"g{j} step {step + 1}"] = gradient.clone()
            with mock.patch("torch.bfloat16", torch.float32):
                for rule in used:
                    rule.step()
            for j, p in enumerate(parameters):
                tensors[f"p{j} step {step + 1}"] = seen[j].detach().view_as(p).clone()
        for j, p in enumerate(parameters):
            for rule in used:
                for slot, value in rule.state.get(seen[j], {}).items():
                    if slot != "step" and value is not None:
                        tensors[f"{slot}{j}"] = value.view_as(p).clone()
        golden.add(f"{i} {name} {options}".replace("/", " "), {"optimizer": {"name": name, **settings(options)}}, **tensors)
    golden.write("train/testdata/optimizers.safetensors", steps=STEPS)


if __name__ == "__main__":
    main()
