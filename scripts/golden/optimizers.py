"""Golden values of every optimizer, for train/testdata: two parameters, five gradients, the parameters after each step
and PyTorch's state after the last. In float32, whose underflow is part of what an optimizer does."""

import torch

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
]


def settings(options):
    """PyTorch's options under the names of train.OptimizerConfig."""
    names = {"lr": "learning_rate", "eps": "epsilon"}
    out = {names.get(key, key): value for key, value in options.items() if key != "betas"}
    if "betas" in options:
        out["beta1"], out["beta2"] = options["betas"]
    return out


def main():
    generator = torch.Generator().manual_seed(5)
    golden = Golden()
    for i, (name, optimizer, options) in enumerate(CASES):
        parameters = [torch.randn(3, 4, generator=generator).requires_grad_(), torch.randn(5, generator=generator).requires_grad_()]
        rule = optimizer(parameters, foreach=False, **options)
        tensors = {f"p{j}": p.detach().clone() for j, p in enumerate(parameters)}
        for step in range(STEPS):
            for j, p in enumerate(parameters):
                p.grad = torch.randn(p.shape, generator=generator)
                # Gradients of 0, ones whose square is 0, and large ones.
                p.grad.view(-1)[:3] = torch.tensor([0.0, 1e-30, 1e10])
                tensors[f"g{j} step {step + 1}"] = p.grad.clone()
            rule.step()
            for j, p in enumerate(parameters):
                tensors[f"p{j} step {step + 1}"] = p.detach().clone()
        for j, p in enumerate(parameters):
            for slot, value in rule.state[p].items():
                if slot != "step" and value is not None:
                    tensors[f"{slot}{j}"] = value.clone()
        golden.add(f"{i} {name} {options}".replace("/", " "), {"optimizer": {"name": name, **settings(options)}}, **tensors)
    golden.write("train/testdata/optimizers.safetensors", steps=STEPS)


if __name__ == "__main__":
    main()
