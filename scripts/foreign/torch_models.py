"""A convolutional network and a multilayer perceptron of PyTorch, each exported by both of its exporters."""

import io

import numpy as np
import onnx
import torch
from torch import nn

import foreign

MEAN, STD = 0.1307, 0.3081  # of MNIST's training pixels on the scale 0…1, as PyTorch's own example has them


class CNN(nn.Module):
    """With what a lowering has to fold: batch normalisation after a convolution and after a dense layer, and a view."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2, bias=False)
        self.norm1 = nn.BatchNorm2d(6)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.pool2 = nn.AvgPool2d(2)
        self.fc1 = nn.Linear(288, 32)
        self.norm2 = nn.BatchNorm1d(32)
        self.dropout = nn.Dropout(0.2)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, image):
        x = self.pool1(torch.relu(self.norm1(self.conv1(image))))
        x = self.pool2(torch.relu(self.conv2(x)))
        x = x.view(x.size(0), -1)
        x = torch.relu(self.norm2(self.fc1(x)))
        return self.fc2(self.dropout(x))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 24), nn.ReLU(), nn.Linear(24, 10), nn.Softmax(dim=1))


def pixels(images):
    return torch.from_numpy((images[:, None].astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD))


def fit(model, logits, images, labels):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.train()
    for batch in foreign.shuffled(len(images)):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(logits(pixels(images[batch])), torch.from_numpy(labels[batch].astype(np.int64)))
        loss.backward()
        optimizer.step()
    model.eval()


def export(name, model):
    images, _ = foreign.mnist("t10k")
    with torch.no_grad():
        predictions = torch.cat([model(pixels(images[begin : begin + 1000])).argmax(1) for begin in range(0, len(images), 1000)])
    facts = {"framework": f"torch {torch.__version__.split('+')[0]}", "pixels": f"(x/255-{MEAN})/{STD}", "output": "scores"}
    example = pixels(images[:2])

    program = torch.onnx.export(model, (example,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("N")},),
                                input_names=["image"], output_names=["scores"])
    foreign.write(f"torch_{name}_dynamo", program.model_proto, predictions, exporter="torch.onnx.export, dynamo=True", **facts)

    buffer = io.BytesIO()
    torch.onnx.export(model, (example,), buffer, dynamo=False, dynamic_axes={"image": {0: "N"}, "scores": {0: "N"}},
                      input_names=["image"], output_names=["scores"])
    foreign.write(f"torch_{name}_torchscript", onnx.load_from_string(buffer.getvalue()), predictions,
                  exporter="torch.onnx.export, dynamo=False", **facts)


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images, labels = foreign.mnist("train")
    torch.manual_seed(foreign.SEED)
    cnn = CNN()
    fit(cnn, cnn, images, labels)
    export("cnn", cnn)
    torch.manual_seed(foreign.SEED)
    perceptron = mlp()
    fit(perceptron, perceptron[:-1], images, labels)
    export("mlp", perceptron)


if __name__ == "__main__":
    main()
