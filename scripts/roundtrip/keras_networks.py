"""Exports networks of Keras, which are channels last, by tf2onnx and by Keras's own export, with onnxruntime's answers."""

import pathlib
import sys
import tempfile

import keras
import numpy as np
import onnx
import tensorflow
import tf2onnx

import roundtrip


def make(name):
    keras.utils.set_random_seed(roundtrip.SEED)
    model = getattr(keras.applications, name)(weights=None, classes=roundtrip.CLASSES, classifier_activation=None,
                                              input_shape=(roundtrip.SIDE, roundtrip.SIDE, 3))
    random = np.random.default_rng(roundtrip.SEED)
    for layer in norms(model):
        weight, bias, mean, variance = (np.asarray(values) for values in layer.get_weights())
        layer.set_weights([random.uniform(0.5, 1.5, weight.shape), random.normal(0, 0.2, bias.shape),
                           random.normal(0, 0.1, mean.shape), random.uniform(0.5, 1.5, variance.shape)])
    return model


def norms(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def by_tf2onnx(model, opset):
    shape = (None, roundtrip.SIDE, roundtrip.SIDE, 3)
    signature = [tensorflow.TensorSpec(shape, "float32", name="image")]
    function = tensorflow.function(lambda image: model(image, training=False), input_signature=signature)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=opset)
    return proto


def by_keras(model, opset):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        model.export(path, format="onnx", opset_version=opset, verbose=False)
        return onnx.load(path)


def main():
    folder = roundtrip.Folder(sys.argv[1])
    for name in sys.argv[2:] or ["ResNet50V2", "MobileNetV2"]:
        model = make(name)
        images = np.random.default_rng(roundtrip.SEED).normal(size=(roundtrip.BATCH, roundtrip.SIDE, roundtrip.SIDE, 3)).astype("<f4")
        own = np.asarray(model(images, training=False))
        facts = {
            "network": name,
            "framework": "Keras",
            "floats": len(model.weights),
            "norms": len(norms(model)),
            "learned": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        }
        for exporter, export in (("tf2onnx", by_tf2onnx), ("Keras", by_keras)):
            for opset in (13, 18):
                folder.write(f"{name}.{exporter.lower()}.{opset}", lambda export=export, opset=opset: (export(model, opset), images),
                             images.transpose(0, 3, 1, 2), own, exporter=exporter, asked=opset, **facts)


main()
