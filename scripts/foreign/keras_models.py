"""A convolutional network of Keras, channels last, exported by tf2onnx."""

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers

import foreign


def network():
    return keras.Sequential([
        keras.Input((28, 28, 1), name="image"),
        layers.Conv2D(6, 5, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Conv2D(8, 3, activation="relu"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(10, activation="softmax", name="scores"),
    ])


def pixels(images):
    return images[..., None].astype(np.float32) / 255


def main():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(foreign.SEED)
    images, labels = foreign.mnist("train")
    model = network()
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    order = np.concatenate(foreign.shuffled(len(images)))
    model.fit(pixels(images[order]), labels[order], batch_size=foreign.BATCH, epochs=1, shuffle=False, verbose=2)

    test, _ = foreign.mnist("t10k")
    predictions = model.predict(pixels(test), batch_size=1000, verbose=0).argmax(1)

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32, name="image")])
    def scores(image):
        return tf.identity(model(image, training=False), name="scores")

    converted, _ = tf2onnx.convert.from_function(scores, input_signature=scores.input_signature, opset=18)
    model_proto = onnx.load_from_string(converted.SerializeToString())
    foreign.write("keras_cnn_tf2onnx", model_proto, predictions, framework=f"keras {keras.__version__}, tensorflow {tf.__version__}",
                  exporter=f"tf2onnx {tf2onnx.__version__}", pixels="x/255", output=model_proto.graph.output[0].name)


if __name__ == "__main__":
    main()
