import pathlib
import sys
from importlib.metadata import version

import iree.runtime
import numpy

from harness import main, whole


def load(model, threads, batch):
    config = iree.runtime.Config("local-task")
    context = iree.runtime.SystemContext(config=config)
    module = iree.runtime.VmModule.mmap(config.vm_instance, str(pathlib.Path(sys.argv[7]) / "model.vmfb"))
    context.add_vm_module(module)
    classify = context.modules[module.name]["classify"]

    def run(images):
        return numpy.asarray(classify(whole(images, batch)).to_host())[: len(images)]

    return run, version("iree-base-runtime"), {}


main(load)
