import pathlib
import sys

import ncnn
import numpy

from harness import main


def load(model, threads, batch):
    net = ncnn.Net()
    net.opt.num_threads = threads
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed"):
        if hasattr(net.opt, option):
            setattr(net.opt, option, False)
    folder = pathlib.Path(sys.argv[7])
    if net.load_param(str(folder / "model.ncnn.param")) or net.load_model(str(folder / "model.ncnn.bin")):
        raise RuntimeError(f"ncnn does not load {folder}/model.ncnn.param")
    name_in, name_out = net.input_names()[0], net.output_names()[0]

    def run(images):  # one image a run: ncnn's Mat has no batch
        scores = []
        for image in images:
            extractor = net.create_extractor()
            extractor.input(name_in, ncnn.Mat(image).clone())
            scores.append(numpy.array(extractor.extract(name_out)[1]))
        return numpy.stack(scores)

    return run, ncnn.__version__, {"batch": 1}


main(load)
