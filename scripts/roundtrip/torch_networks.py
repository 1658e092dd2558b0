"""Exports networks of torchvision and timm by both of PyTorch's exporters, with onnxruntime's answers."""

import contextlib
import io
import logging
import sys
import warnings

import onnx
import torch
from torch import nn

import roundtrip

TORCHVISION = [
    "resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "densenet121", "efficientnet_b0",
    "regnet_y_400mf", "shufflenet_v2_x0_5", "mnasnet0_5", "googlenet", "convnext_tiny",
]
TIMM = ["efficientnet_lite0"]


def make(name):
    torch.manual_seed(roundtrip.SEED)
    if name in TIMM:
        import timm

        return unsettled(timm.create_model(name, pretrained=False, num_classes=roundtrip.CLASSES))
    import torchvision

    more = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
    return unsettled(torchvision.models.get_model(name, weights=None, num_classes=roundtrip.CLASSES, **more))


def unsettled(model):
    """Draws what initialisation leaves at 0 and 1, and lets running statistics follow some batches."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith(("layer_scale", "gamma")):
                parameter.uniform_(0.2, 1)
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
            elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                module.bias.normal_(0, 0.1)
        for module in norms:
            module.momentum = 0.5
        model.train()
        for _ in range(3):
            model(torch.randn(8, 3, roundtrip.SIDE, roundtrip.SIDE))
    for module in norms:
        module.momentum = 0.1
    return model.eval()


def dynamo(model, example, opset, optimize):
    program = torch.onnx.export(model, (example,), dynamo=True, opset_version=opset, optimize=optimize, verbose=False,
                                dynamic_shapes=({0: torch.export.Dim("N")},), input_names=["image"], output_names=["scores"])
    return program.model_proto


def torchscript(model, example, opset):
    buffer = io.BytesIO()
    # PRESERVE keeps the mode that the model is in, and batch normalisation apart from the convolution before it.
    torch.onnx.export(model, (example,), buffer, dynamo=False, opset_version=opset, training=torch.onnx.TrainingMode.PRESERVE,
                      dynamic_axes={"image": {0: "N"}, "scores": {0: "N"}}, input_names=["image"], output_names=["scores"])
    return onnx.load_from_string(buffer.getvalue())


EXPORTS = [  # the exporter, the opset asked for, and how it is done
    ("dynamo", 13, lambda *given: dynamo(*given, optimize=False)),
    ("dynamo", 18, lambda *given: dynamo(*given, optimize=False)),
    ("dynamo, optimised", 18, lambda *given: dynamo(*given, optimize=True)),
    ("torchscript", 13, torchscript),
    ("torchscript", 18, torchscript),
]


def main():
    folder = roundtrip.Folder(sys.argv[1])
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    for name in sys.argv[2:] or TORCHVISION + TIMM:
        model = make(name)
        example = torch.randn(roundtrip.BATCH, 3, roundtrip.SIDE, roundtrip.SIDE,
                              generator=torch.Generator().manual_seed(roundtrip.SEED))
        with torch.no_grad():
            own = model(example).numpy()
        facts = {
            "network": name,
            "framework": "timm" if name in TIMM else "torchvision",
            "floats": sum(tensor.is_floating_point() for tensor in model.state_dict().values()),
            "norms": sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()),
            "learned": sum(parameter.numel() for parameter in model.parameters()),
        }
        for exporter, opset, export in EXPORTS:
            def exported(export=export, opset=opset):
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    return export(model, example, opset), example.numpy()

            stem = f"{name}.{exporter.replace(', ', '-')}.{opset}"
            folder.write(stem, exported, example.numpy(), own, exporter=exporter, asked=opset, **facts)


main()
