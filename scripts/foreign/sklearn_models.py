"""A multilayer perceptron of scikit-learn, exported by skl2onnx: a label and the probabilities as a tensor."""

import warnings

import numpy as np
import onnx
import skl2onnx
import sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import foreign


def pixels(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255


def main():
    images, labels = foreign.mnist("train")
    model = MLPClassifier((24,), batch_size=foreign.BATCH, max_iter=2, random_state=foreign.SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # two epochs are enough here
        model.fit(pixels(images), labels)

    test, _ = foreign.mnist("t10k")
    converted = skl2onnx.convert_sklearn(model, "mlp", initial_types=[("features", FloatTensorType([None, 784]))],
                                         options={id(model): {"zipmap": False}}, target_opset=18)
    foreign.write("sklearn_mlp_skl2onnx", onnx.load_from_string(converted.SerializeToString()), model.predict(pixels(test)),
                  framework=f"scikit-learn {sklearn.__version__}", exporter=f"skl2onnx {skl2onnx.__version__}",
                  pixels="x/255", output="probabilities")


if __name__ == "__main__":
    main()
