"""Golden values of averaged weights, for train/testdata: a module's weights and running statistics at each step, and what
timm's ModelEmaV3 makes of them. Without a warm-up PyTorch's AveragedModel says the same, which is checked here."""

import torch
from timm.utils import ModelEmaV3
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from golden_file import Golden

STEPS = 15
CASES = [
    {"decay": 0.9},
    {"decay": 0.999},
    {"decay": 0.9999, "warmup": True},
    {"decay": 0.5, "warmup": True},  # the warm-up is over after three steps
]


def tensors(module):
    """All that is averaged, in order, without the count of batches, which is a whole number."""
    return [value.detach().clone() for value in module.state_dict().values() if value.is_floating_point()]


def main():
    golden = Golden()
    for i, ema in enumerate(CASES):
        generator = torch.Generator().manual_seed(i)
        module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
        average = ModelEmaV3(module, decay=ema["decay"], use_warmup=ema.get("warmup", False))
        other = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(ema["decay"]), use_buffers=True)
        values = {}
        for step in range(1, STEPS + 1):
            with torch.no_grad():
                for value in module.state_dict().values():
                    if value.is_floating_point():
                        value.copy_(torch.randn(value.shape, generator=generator))
            average.update(module, step=step)
            other.update_parameters(module)
            values[f"weights {step}"] = torch.cat([value.flatten() for value in tensors(module)])
            values[f"average {step}"] = torch.cat([value.flatten() for value in tensors(average.module)])
            if "warmup" not in ema:
                torch.testing.assert_close(tensors(other.module), tensors(average.module), rtol=1e-6, atol=1e-7)
        golden.add(f"{i} {ema}", {"ema": ema, "steps": STEPS}, **values)
    golden.write("train/testdata/averages.safetensors")


if __name__ == "__main__":
    main()
