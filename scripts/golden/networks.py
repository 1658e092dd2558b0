"""Golden values of the zoo's networks, for train/testdata and builder/zoo/testdata.

train/testdata/network-NAME.safetensors are of small forms of five networks, and of batch normalisation by itself: their
first weights, the losses of ten steps of SGD with momentum, the gradients of the first step and the running statistics after
the last. PyTorch computes in float64, from float32 weights and pixels; the results are rounded to float32. So the files do
not depend on which float32 kernels PyTorch chooses on a CPU. How far its own float32 is from it is printed.

builder/zoo/testdata/tensors.txt has the names, shapes and first values of the tensors of every network of the zoo."""

import copy

import numpy as np
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models import convnext, mobilenetv2, mobilenetv3, resnet, squeezenet

from golden_file import ROOT, Golden

CLASSES, STEPS, MOMENTUM = 5, 10, 0.9
ZERO = 1e-9


class CIFARResNet(nn.Module):
    """Section 4.2 of He et al. (2016) of torchvision's blocks, with projections where the shape changes."""

    def __init__(self, blocks, width, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage in range(3):
            layers = []
            for i in range(blocks):
                planes, stride = width << stage, 2 if stage and not i else 1
                shortcut = None
                if stride != 1:
                    shortcut = nn.Sequential(nn.Conv2d(channels, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
                layers.append(resnet.BasicBlock(channels, planes, stride, shortcut))
                channels = planes
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class SmallSqueezeNet(squeezenet.SqueezeNet):
    """SqueezeNet 1.1 with a fourth of the channels."""

    def __init__(self):
        super().__init__("1_1", CLASSES, dropout=0)
        fire = squeezenet.Fire
        pool = [nn.MaxPool2d(3, 2, ceil_mode=True) for _ in range(3)]
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2), nn.ReLU(), pool[0], fire(16, 4, 16, 16), fire(32, 4, 16, 16), pool[1],
            fire(32, 8, 32, 32), fire(64, 8, 32, 32), pool[2], fire(64, 12, 48, 48), fire(96, 12, 48, 48),
            fire(96, 16, 64, 64), fire(128, 16, 64, 64))
        self.classifier[1] = nn.Conv2d(128, CLASSES, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)


def small_mobilenet_v3():
    config = mobilenetv3.InvertedResidualConfig
    blocks = [config(16, 3, 16, 16, True, "RE", 2, 1, 1), config(16, 3, 40, 24, False, "RE", 2, 1, 1),
              config(24, 5, 64, 24, True, "HS", 1, 1, 1)]
    return mobilenetv3.MobileNetV3(blocks, 32, CLASSES, dropout=0)


def small_mobilenet_v2():
    return mobilenetv2.MobileNetV2(CLASSES, 0.25, [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2]], dropout=0)


def small_convnext():
    config = convnext.CNBlockConfig
    return convnext.ConvNeXt([config(8, 16, 2), config(16, None, 2)], layer_scale=0.5, num_classes=CLASSES)


class Normalised(nn.Module):
    """A convolution with batch normalisation, which is all that a batch of one image, or of many, matters to."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, CLASSES)

    def forward(self, x):
        return self.fc(F.relu(self.bn1(self.conv1(x))).mean((2, 3)))


def noise(images, size):
    """Bytes that the Go test computes, too: a hash of each one's place."""
    h = np.arange(images * 3 * size * size, dtype=np.uint32) * np.uint32(0x9E3779B1)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x85EBCA77)
    h ^= h >> np.uint32(13)
    pixels = (h >> np.uint32(24)).astype(np.float32).reshape(images, 3, size, size)
    return torch.from_numpy((pixels / np.float32(255) - np.float32(0.5)) / np.float32(0.5))


def train(model, batch, size, rate, steps, dtype):
    """Returns the losses, the gradients of the first step, and the running statistics after the last."""
    model = copy.deepcopy(model).to(dtype).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
    images = noise(steps * batch, size).to(dtype)
    labels = torch.arange(steps * batch) % CLASSES
    losses, first = [], None
    for step in range(steps):
        part = slice(step * batch, (step + 1) * batch)
        loss = F.cross_entropy(model(images[part]), labels[part])
        optimizer.zero_grad()
        loss.backward()
        if first is None:
            first = {name: p.grad.detach().clone() for name, p in model.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    statistics = {name: tensor for name, tensor in model.named_buffers() if "running" in name}
    return losses, first, statistics


def largest(a, b):
    """The largest difference of two sets of tensors, each relative to the largest value of the second. Where that is 0 but for
    rounding, as of a bias that the next normalisation takes away, it says nothing."""
    return max([((a[name].double() - b[name]).abs().max() / b[name].abs().max()).item()
                for name in b if b[name].abs().max() > ZERO], default=0.0)


def lively(model):
    """The model with dense layers drawn by PyTorch's default: from N(0, 0.01²) the logits are next to nothing."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    return model


def disturbed(model, trial):
    """The model with weights that differ from it in the last digit of a float32."""
    generator = torch.Generator().manual_seed(trial)
    model = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + (torch.rand(parameter.shape, generator=generator) - 0.5) * 4e-7)
    return model


def small_networks():
    torch.set_num_threads(1)
    # A network of many rectifiers can take another path for a difference in the last digit, where a value is next to 0. The
    # rates are such that PyTorch's own float32 stays well within the tests' tolerance of 1e-4 from 8 weights that differ so:
    # at 0.001, ResNet-20 is 3e-4 away from some, and at 0.002 MobileNetV2 8e-5.
    for name, make, batch, size, rate, steps in [
        ("resnet20", lambda: CIFARResNet(3, 8, CLASSES), 8, 16, 0.0003, STEPS),
        ("mobilenet_v2", lambda: lively(small_mobilenet_v2()), 8, 32, 0.0005, STEPS),
        ("mobilenet_v3_small", lambda: lively(small_mobilenet_v3()), 8, 32, 0.02, STEPS),
        ("squeezenet1_1", SmallSqueezeNet, 8, 48, 0.02, STEPS),
        ("convnext_tiny", lambda: lively(small_convnext()), 8, 32, 0.02, STEPS),
        ("batch-of-1", Normalised, 1, 6, 0.02, 3),
        ("batch-of-257", Normalised, 257, 24, 0.02, 3),
    ]:
        torch.manual_seed(sum(name.encode()))
        model = make()
        losses, gradients, statistics = train(model, batch, size, rate, steps, torch.float64)
        single = train(model, batch, size, rate, steps, torch.float32)
        apart = max(abs(a - b) for trial in range(8)
                    for a, b in zip(losses, train(disturbed(model, trial), batch, size, rate, steps, torch.float32)[0]))
        print(f"{name}: losses {[round(x, 4) for x in losses]}; float32 differs from float64 by "
              f"{max(abs(a - b) for a, b in zip(losses, single[0])):.1e} in the losses, by {largest(single[1], gradients):.1e} of the "
              f"largest in the first gradients, by {largest(single[2], statistics):.1e} in the statistics; by {apart:.1e} in the losses from weights that differ in their last digit")
        assert apart < 5e-5, "another path: take a lower rate"
        tensors = {f"weight {key}": value for key, value in model.state_dict().items() if "num_batches" not in key}
        tensors |= {f"gradient {key}": value for key, value in gradients.items()}
        tensors |= {f"statistic {key}": value for key, value in statistics.items()}
        golden = Golden()
        golden.add(name, {"batch": batch, "size": size, "optimizer": {"name": "sgd", "learning_rate": rate, "momentum": MOMENTUM}},
                   losses=torch.tensor(losses, dtype=torch.float64), **tensors)
        golden.write(f"train/testdata/network-{name}.safetensors")


def tensor_lists():
    """A line for each tensor: network, name, shape, and the mean, deviation and largest magnitude of its first values."""
    networks = {"resnet20": lambda: CIFARResNet(3, 16, 10), "resnet56": lambda: CIFARResNet(9, 16, 10)}
    for name in ["resnet18", "resnet34", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "convnext_tiny"]:
        networks[name] = lambda name=name: torchvision.models.get_model(name, num_classes=10)
    networks["efficientnet_lite0"] = lambda: timm.create_model("efficientnet_lite0", num_classes=10)
    lines = [f"# Made by scripts/golden/make-golden networks: torchvision {torchvision.__version__.split('+')[0]}, "
             f"timm {timm.__version__}; 10 classes.",
             "# network, tensor, shape, and of its first values the mean, the deviation and the largest magnitude"]
    for network, make in networks.items():
        torch.manual_seed(1)
        for name, tensor in make().state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            x = tensor.double()
            shape = "×".join(map(str, x.shape))
            lines.append(f"{network} {name} {shape} {x.mean():.4g} {x.std(correction=0):.4g} {x.abs().max():.4g}")
    target = ROOT / "builder/zoo/testdata/tensors.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"builder/zoo/testdata/tensors.txt: {len(lines) - 2} tensors")


if __name__ == "__main__":
    small_networks()
    tensor_lists()
