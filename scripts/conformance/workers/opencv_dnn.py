from importlib.metadata import version

import cv2

from harness import main


def load(model, threads, batch):
    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(model)
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)  # float32; DNN_TARGET_CPU_FP16 is another target

    def run(images):
        net.setInput(images)
        return net.forward()

    return run, version("opencv-python-headless"), {}


main(load)
