"""Files of torch.save, for internal/torchfile/testdata and train/testdata/torchfiles.

state.pt and state-legacy.pt hold the same tensors in both forms, and state.safetensors what a reader of them is to find: each
tensor by the path of its keys. checkpoint.pt is as a training script saves one. The others are files that nobody should read:
what they ask Python for is never run here, since they are only written."""

import argparse
import builtins
import collections
import os
import pickle
import warnings
import zipfile

import numpy as np
import safetensors.torch
import torch
from torch import nn

from golden_file import ROOT

FOLDER = ROOT / "internal/torchfile/testdata"
WEIGHTS = ROOT / "train/testdata/torchfiles"


def state():
    """Every kind of tensor and of container that a state dict may have."""
    torch.manual_seed(0)
    base = torch.arange(24, dtype=torch.float32)
    norm = nn.BatchNorm2d(3)
    norm(torch.randn(2, 3, 4, 4))
    return collections.OrderedDict([
        ("parameter", nn.Parameter(base[:6].reshape(2, 3) / 7)),
        ("buffer", nn.Buffer(torch.tensor([1.5, -2.5]))),
        ("whole", base),
        ("part", base[4:10]),
        ("row", base.view(4, 6)[2]),
        ("transposed", base.view(4, 6).t()),
        ("strided", base.view(2, 3, 4)[:, 1:, ::2]),
        ("column", base.view(4, 6)[:, 1:2]),
        ("ones", torch.ones(1, 1, 3).transpose(0, 2)),
        ("empty", torch.zeros(0, 3)),
        ("scalar", torch.tensor(-0.25)),
        ("float16", torch.tensor([1 / 3, -65504.0, 6e-8], dtype=torch.float16)),
        ("bfloat16", torch.tensor([1 / 3, -3e38, 1e-40], dtype=torch.bfloat16)),
        ("float64", torch.tensor([1 / 3, -1e300], dtype=torch.float64)),
        ("int64", torch.tensor([2**62, -1])),
        ("int32", torch.tensor([2**31 - 1, -1], dtype=torch.int32)),
        ("int16", torch.tensor([-300], dtype=torch.int16)),
        ("int8", torch.tensor([-128], dtype=torch.int8)),
        ("uint8", torch.tensor([255], dtype=torch.uint8)),
        ("uint16", torch.tensor([65535, 1], dtype=torch.uint16)),
        ("bool", torch.tensor([True, False])),
        ("float8", torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn)),
        ("norm", norm.state_dict()),
        ("nested", {"list": [base[20:], 1, None, (torch.tensor([7]), "text")], 3: torch.tensor([3.0])}),
        ("other", {"epoch": 12, "rate": 1e-3, "flag": True, "none": None, "text": "ü", "big": 2**70, "minus": -(2**40),
                   "shape": torch.Size([1, 2]), "type": torch.float16, "device": torch.device("cpu"), "set": {1, 2}, "bytes": b"\xff\x00",
                   "counter": collections.Counter("aab")}),
    ])


def flat(value, path=""):
    if isinstance(value, torch.Tensor):
        yield path, value.detach()
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from flat(inner, f"{path}.{i}" if path else str(i))


def save_legacy(value, path):
    """Saves in the legacy form, in which storages are called by their addresses and lie in the order of these: another file
    each time. So one that is there is kept, and must hold the same; remove it to make it again."""
    if not path.exists():
        torch.save(value, path, _use_new_zipfile_serialization=False)


class Calls:
    """Pickles as a call of the function with the arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile():
    """Nothing of this is loaded by Python."""
    calls = {
        "os-system": Calls(os.system, "touch slipway-was-here"),
        "eval": Calls(builtins.eval, "open('slipway-was-here', 'w')"),
        "getattr": Calls(getattr, {}, "pop"),
        "namespace": argparse.Namespace(rate=0.1),
        "numpy": np.float64(0.5),
        "sparse": torch.eye(2).to_sparse(),
        "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "complex128": torch.ones(1, dtype=torch.complex128),
        "expanded": torch.ones(1).expand(1 << 20, 1 << 20),
    }
    for name, value in calls.items():
        torch.save({"weight": torch.ones(2), "bad": value}, FOLDER / f"refused-{name}.pt")
    save_legacy({"weight": torch.ones(2), "bad": calls["os-system"]}, FOLDER / "refused-os-system-legacy.pt")
    torch.jit.script(nn.Linear(1, 1)).save(str(FOLDER / "refused-torchscript.pt"))
    module = nn.Linear(1, 1)
    torch.save(module, FOLDER / "refused-module.pt")
    (FOLDER / "refused-pickle.pt").write_bytes(pickle.dumps({"weight": [1.0]}, protocol=2))
    # The same file with its records compressed, as packing it again makes it.
    with zipfile.ZipFile(FOLDER / "state.pt") as whole, zipfile.ZipFile(FOLDER / "refused-compressed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in whole.infolist():
            packed.writestr(zipfile.ZipInfo(entry.filename), whole.read(entry), zipfile.ZIP_DEFLATED)


def trained():
    """Two layers after a step, and their optimizer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return model, optimizer


def checkpoint(of):
    model, optimizer = of
    weights = model.state_dict()
    return {"epoch": 3, "state_dict": {"module." + name: tensor for name, tensor in weights.items()},
            "state_dict_ema": {name: tensor * 0.5 for name, tensor in list(weights.items())[:1]},
            "optimizer": optimizer.state_dict(), "arguments": {"lr": 0.1, "data": "train"}}


def weights():
    """The same weights in every form, for train/testdata/torchfiles."""
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    model, optimizer = trained()
    value = model.state_dict()
    safetensors.torch.save_file(value, WEIGHTS / "state.safetensors")
    torch.save(value, WEIGHTS / "state.pt")
    save_legacy(value, WEIGHTS / "state-legacy.pt")
    torch.save(checkpoint((model, optimizer)), WEIGHTS / "checkpoint.pt")
    for dtype in [torch.float16, torch.bfloat16]:
        torch.save({name: tensor.to(dtype) for name, tensor in value.items()}, WEIGHTS / f"{str(dtype)[6:]}.pt")
    torch.save({"model": {name: tensor.double() for name, tensor in value.items()}}, WEIGHTS / "float64.pt")


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.pt"):
        if "legacy" not in old.name:
            old.unlink()
    value = state()
    torch.save(value, FOLDER / "state.pt")
    torch.save(value, FOLDER / "state-protocol4.pt", pickle_protocol=4)
    expected = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in flat(value)}
    safetensors.torch.save_file(expected, FOLDER / "state.safetensors")
    # PyTorch does not read its own legacy form of types without a storage of their own.
    value = collections.OrderedDict((key, inner) for key, inner in value.items() if key not in ("uint16", "float8"))
    save_legacy(value, FOLDER / "state-legacy.pt")
    kept = dict(flat(torch.load(FOLDER / "state-legacy.pt", weights_only=True)))
    assert all(kept[name].dtype == tensor.dtype and torch.equal(kept[name], tensor) for name, tensor in flat(value)), "remove state-legacy.pt"
    torch.serialization.set_crc32_options(False)
    torch.save({"weight": torch.ones(2)}, FOLDER / "without-sums.pt")
    torch.serialization.set_crc32_options(True)
    torch.save(checkpoint(trained()), FOLDER / "checkpoint.pt")
    weights()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors and TorchScript are no longer recommended
        hostile()
    print(f"{FOLDER.relative_to(ROOT)}: {len(expected)} tensors, {len(list(FOLDER.glob('refused-*')))} files to refuse")


if __name__ == "__main__":
    main()
