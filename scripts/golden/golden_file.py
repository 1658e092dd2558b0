"""How golden files are written: one safetensors file an operator, with several cases in it."""

import json
import pathlib

import numpy as np
import torch
from safetensors.numpy import save

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Golden:
    """Collects cases: each has a name, its settings, and its tensors as float32 (or int32) arrays."""

    def __init__(self):
        self.cases = []
        self.tensors = {}

    def add(self, name, settings, **tensors):
        assert "/" not in name and name not in {case["name"] for case in self.cases}, name
        self.cases.append({"name": name, **settings})
        for key, value in tensors.items():
            array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
            with np.errstate(over="ignore"):  # a loss of 6e38 is an infinite float32
                dtype = array.dtype if array.dtype == np.int32 else np.float32
                self.tensors[f"{name}/{key}"] = np.ascontiguousarray(array, dtype)

    def write(self, path, **facts):
        """One metadata key only: the order of several is not the same from run to run."""
        facts = {"generator": "scripts/golden/make-golden", "torch": torch.__version__, **facts, "cases": self.cases}
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(save(self.tensors, {"golden": json.dumps(facts, ensure_ascii=False)}))
        print(f"{path}: {target.stat().st_size} bytes, {len(self.cases)} cases")


def backward(y, dy, *inputs):
    """The gradients of Σ y·dy with respect to the inputs."""
    return torch.autograd.grad(y, inputs, dy)
