"""Exports networks of torchvision and timm by both of PyTorch's exporters, with onnxruntime's answers."""

import contextlib
import io
import logging
import pathlib
import sys
import time
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

TORCHVISION = [
    "resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "densenet121", "efficientnet_b0",
    "regnet_y_400mf", "shufflenet_v2_x0_5", "mnasnet0_5", "googlenet", "convnext_tiny",
]
TIMM = ["efficientnet_lite0"]
SIDE = 64  # of the images; the smallest that every one of the networks takes is 32
CLASSES = 10
BATCH = 3
SEED = 20


def make(name):
    torch.manual_seed(SEED)
    if name in TIMM:
        import timm

        model = timm.create_model(name, pretrained=False, num_classes=CLASSES)
    else:
        import torchvision

        more = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
        model = torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **more)
    return unsettled(model)


def unsettled(model):
    """Draws what initialisation leaves at 0 and 1, and lets running statistics follow some batches."""
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("layer_scale") or key.endswith("gamma"):
                parameter.uniform_(0.2, 1)
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
            if isinstance(module, (nn.BatchNorm2d)):
                module.momentum = 0.5
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                module.bias.normal_(0, 0.1)
        model.train()
        for _ in range(3):
            model(torch.randn(8, 3, SIDE, SIDE))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return model.eval()


def dynamo(model, example, opset):
    program = torch.onnx.export(model, (example,), dynamo=True, opset_version=opset, optimize=False, verbose=False,
                                dynamic_shapes=({0: torch.export.Dim("N")},), input_names=["image"], output_names=["scores"])
    return program.model_proto


def torchscript(model, example, opset):
    buffer = io.BytesIO()
    # PRESERVE keeps the mode that the model is in, and batch normalisation apart from the convolution before it.
    torch.onnx.export(model, (example,), buffer, dynamo=False, opset_version=opset, training=torch.onnx.TrainingMode.PRESERVE,
                      dynamic_axes={"image": {0: "N"}, "scores": {0: "N"}}, input_names=["image"], output_names=["scores"])
    return onnx.load_from_string(buffer.getvalue())


def answers(proto, images):
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    for name in sys.argv[2:] or TORCHVISION + TIMM:
        model = make(name)
        example = torch.randn(BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(SEED))
        floats = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
        norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
        learned = sum(parameter.numel() for parameter in model.parameters())
        for exporter in (dynamo, torchscript):
            for opset in (13, 18):
                path = folder / f"{name}.{exporter.__name__}.{opset}.onnx"
                begin = time.time()
                try:
                    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                        proto = exporter(model, example, opset)
                except Exception as error:  # noqa: BLE001: the table says it
                    path.with_suffix(".error").write_text(f"{type(error).__name__}: {str(error).splitlines()[0]}\n")
                    print(path.name, "failed", flush=True)
                    continue
                onnx.save(proto, path)
                with torch.no_grad():
                    own = model(example).numpy()
                scores = answers(proto, example.numpy())
                example.numpy().astype("<f4").tofile(path.with_suffix(".images"))
                scores.astype("<f4").tofile(path.with_suffix(".scores"))
                path.with_suffix(".txt").write_text(f"{len(floats)} {norms} {learned}\n")
                print(path.name, f"opset {proto.opset_import[0].version}, {time.time() - begin:.0f} s,",
                      f"onnxruntime {np.abs(scores - own).max() / np.ptp(own):.1e} from torch", flush=True)


main()
