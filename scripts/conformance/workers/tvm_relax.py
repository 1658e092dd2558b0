import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from harness import main, whole


def load(model, threads, batch):
    proto = onnx.load(model)
    name, dims = fed(proto)
    module = from_onnx(proto, shape_dict={name: [batch, *dims]})
    # No tuning, which would take hours: the loops are as TVM writes them, which says nothing of its speed.
    machine = relax.VirtualMachine(tvm.compile(module, target=tvm.target.Target("llvm")), tvm.cpu())

    def run(images):
        scores = machine["main"](tvm.runtime.tensor(whole(images, batch)))
        return (scores if hasattr(scores, "numpy") else scores[0]).numpy()[: len(images)]

    return run, tvm.__version__, {}


def fed(proto):
    """The input's name and an image's dimensions."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    value = next(value for value in proto.graph.input if value.name not in constants)
    return value.name, [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]]


main(load, threads=1)
