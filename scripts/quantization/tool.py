"""Asks onnxruntime's quantization tool for what Slipway's export makes: QDQ, weights int8 for each channel in 7 bits, activations
uint8 by the least and the largest value."""

import tempfile
import pathlib

from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import create_calibrator


class Images(CalibrationDataReader):
    """Batches of images for the input of that name."""

    def __init__(self, name, batches):
        self.name, self.batches = name, iter(batches)

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {self.name: batch}


def ranges(model, name, batches):
    """The least and the largest value of each value of the graph, by name."""
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(str(model), calibrate_method=CalibrationMethod.MinMax,
                                       augmented_model_path=str(pathlib.Path(folder) / "augmented.onnx"))
        calibrator.collect_data(Images(name, batches))
        return {value: [float(number.item()) for number in data.range_value] for value, data in calibrator.compute_data().items()}


def quantize(model, name, batches, target):
    quantize_static(str(model), str(target), Images(name, batches), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True,
                    weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8, calibrate_method=CalibrationMethod.MinMax)
