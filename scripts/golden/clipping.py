"""Golden values of clipped gradients, for train/testdata: gradients of three parameters, their norm, and what PyTorch's
clip_grad_norm_ leaves of them. In float32."""

import torch

from golden_file import Golden

# The norm that is allowed, and the scale of the gradients; 1e-9 and 0 are not clipped.
CASES = [(1.0, 1.0), (0.1, 30.0), (5.0, 1e-9), (1.0, 0.0), (2.0, 1e10), (1e-3, 1.0), (1e3, 1.0)]


def main():
    golden = Golden()
    for i, (most, scale) in enumerate(CASES):
        generator = torch.Generator().manual_seed(i)
        parameters = [torch.zeros(shape, requires_grad=True) for shape in [(3, 4), (700,), (1,)]]
        tensors = {}
        for j, p in enumerate(parameters):
            p.grad = scale * torch.randn(p.shape, generator=generator)
            tensors[f"g{j}"] = p.grad.clone()
        tensors["norm"] = torch.nn.utils.clip_grad_norm_(parameters, most, foreach=False).reshape(1)
        for j, p in enumerate(parameters):
            tensors[f"clipped{j}"] = p.grad.clone()
        golden.add(f"{i} {most} {scale}", {"clip_norm": most}, **tensors)
    golden.write("train/testdata/clipping.safetensors")


if __name__ == "__main__":
    main()
