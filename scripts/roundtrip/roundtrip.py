"""What the exporting scripts share: where a model and its answers go."""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime

SIDE = 64  # of the images; the smallest that every one of the networks takes is 32
CLASSES = 10
BATCH = 3
SEED = 20


class Folder:
    """Takes models, each as NAME.onnx with NAME.json, and the images and onnxruntime's answers as float32."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def write(self, stem, export, images, own, **facts):
        """Exports a model and runs it; images are N×C×H×W, own the framework's answers. What is there already is kept."""
        path = self.path / stem
        if path.with_name(stem + ".json").exists():
            return
        try:
            proto, fed = export()
            onnx.save(proto, path.with_name(stem + ".onnx"))
            session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
            scores = session.run(None, {session.get_inputs()[0].name: fed})[0]
        except Exception as error:  # noqa: BLE001: the table says it
            facts["error"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        else:
            images.astype("<f4").tofile(path.with_name(stem + ".images"))
            scores.astype("<f4").tofile(path.with_name(stem + ".scores"))
            facts["opset"] = next(entry.version for entry in proto.opset_import if entry.domain == "")
            facts["difference"] = float(np.abs(scores - own).max() / np.ptp(own))
        path.with_name(stem + ".json").write_text(json.dumps(facts, indent=1) + "\n")
        print(stem, facts.get("error", f"{facts.get('difference', 0):.1e} of the range from {facts['framework']}"), flush=True)
