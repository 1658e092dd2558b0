"""The runtimes: how each is installed, and the command that runs it."""

import dataclasses
import hashlib
from typing import Callable

import install
from places import CACHE, HERE, ROOT

WORKERS = HERE / "workers"
SOME = 200  # images of a variant that the reference evaluator, a hundred times slower than the others, is given


@dataclasses.dataclass(frozen=True)
class Runtime:
    name: str
    title: str  # in the table
    version: str  # pinned; "" where the version is only known once it runs
    install: Callable[[], float]  # brings it if it is not there; returns its size in MB
    command: Callable  # (model, inputs, count, logits, threads, shape) -> argv; of infer, its first arguments
    sources: tuple = ()  # files whose change asks for another run
    convert: Callable = None  # (model, shape) -> argv: a conversion before the run, not part of the cold start
    optional: bool = False
    through_infer: bool = False  # the product's own command, which writes its logits as CSV
    variant_images: int = 0  # of a variant, only so many images; 0 for all
    lacks: tuple = ()  # what it does not know, of "float16", "int8" and "uint8 input"
    refusal: str = ""  # what its own message says of a graph that it is known not to take
    limit: int = 3600  # seconds

    def takes_not(self, variant):
        """Whether it is known not to take a variant."""
        return any(part in self.lacks for part in variant.name.split(", "))

    def refuses(self, reasons):
        """Whether it said itself that it does not take a graph."""
        return bool(self.refusal) and any(self.refusal in reason for reason in reasons)


def folder(name):
    return CACHE / name


def python(name, package, title, worker, **more):
    """A package of PyPI in a virtual environment of its own; pins/NAME.txt pins it and all that it needs."""
    pins = HERE / "pins" / f"{name}.txt"
    interpreter = folder(name) / "venv" / "bin" / "python"
    tail = more.pop("tail", lambda model: [])
    return Runtime(
        name, title, install.pinned_python(pins, package), lambda: install.python(name, pins),
        lambda model, *arguments: [interpreter, WORKERS / worker, model, *arguments, *tail(model)],
        (WORKERS / worker, WORKERS / "harness.py", pins), **more)


def converting(name, package, title, worker, converter, **more):
    """A package of PyPI that runs a form of its own, which the converter makes of the graph before the run."""
    def converted(model):
        # Files of one name, in two folders or one after the other, must not get each other's.
        return folder(name) / "models" / f"{model.stem}-{hashlib.sha256(model.read_bytes()).hexdigest()[:16]}"

    def convert(model, shape):
        return [folder(name) / "venv" / "bin" / "python", WORKERS / converter, model, converted(model), shape]

    runtime = python(name, package, title, worker, convert=convert, tail=lambda model: [converted(model)], **more)
    return dataclasses.replace(runtime, sources=(*runtime.sources, WORKERS / converter))


def web(name, title, script, chromium=False):
    pins = HERE / "pins" / name
    modules = folder(name) / "node_modules"
    return Runtime(
        name, title, install.pinned_npm(pins, "onnxruntime-web"), lambda: install.npm(name, pins, chromium),
        lambda *arguments: [
            "node", HERE / "web" / script, *arguments, modules, *([install.chromium()] if chromium else [])],
        (HERE / "web" / script, HERE / "web" / "classify.mjs", pins / "package-lock.json"))


def tract():
    manifest = HERE / "tract" / "Cargo.toml"
    program = folder("tract") / "target" / "release" / "conformance-tract"
    return Runtime(
        "tract", "tract (Rust)", install.pinned_cargo(manifest, "tract-onnx"), lambda: install.cargo("tract", manifest, program),
        lambda *arguments: [program, *arguments],
        (HERE / "tract" / "src" / "main.rs", manifest, manifest.with_name("Cargo.lock")))


def java():
    source = HERE / "java" / "Conformance.java"
    version = "1.29.0"
    jars = folder("onnxruntime-java") / "jars"
    return Runtime(
        "onnxruntime-java", "onnxruntime (Java)", version, lambda: install.java("onnxruntime-java", source, f"com.microsoft.onnxruntime:onnxruntime:{version}"),
        lambda *arguments: ["java", "-cp", f"{jars}/*:{jars.parent / 'classes'}", "Conformance", *arguments], (source,), optional=True)


def go(name, title, runtime, version, library=False, **more):
    """The product's own command."""
    return Runtime(name, title, version, lambda: install.slipway(library), lambda: [ROOT / "bin" / "infer", "-runtime", runtime, "-device", "cpu"],
                   (ROOT / "bin" / "infer",), through_infer=True, **more)


ALL = [
    go("onnxruntime-go", "onnxruntime (Go, `infer`)", "onnxruntime", install.pinned_onnxruntime(), library=True),
    python("onnxruntime-python", "onnxruntime", "onnxruntime (Python)", "onnxruntime_python.py"),
    python("onnx-reference", "onnx", "onnx reference evaluator", "onnx_reference.py", variant_images=SOME,
           lacks=("int8",)),  # it implements DequantizeLinear as of opset 19; the variants are of 13
    go("native-go", "native (Go, `infer`)", "native", install.slipway_version()),
    go("onnx-go", "onnx-go (Go, `infer`)", "onnx-go", install.pinned_go("github.com/owulveryck/onnx-go"),
       lacks=("float16", "int8", "uint8 input"), refusal="onnx-go does not support the model"),
    python("openvino", "openvino", "OpenVINO", "openvino_cpu.py"),
    python("opencv", "opencv-python-headless", "OpenCV DNN", "opencv_dnn.py"),
    tract(),
    converting("ncnn", "ncnn", "ncnn (via pnnx)", "ncnn_net.py", "ncnn_convert.py",
               lacks=("int8", "uint8 input")),  # pnnx leaves QuantizeLinear as it is, and takes float32 alone
    web("onnxruntime-web-node", "onnxruntime-web in Node", "node.mjs"),
    web("onnxruntime-web-chromium", "onnxruntime-web in Chromium", "chromium.mjs", chromium=True),
    java(),
    python("tvm", "apache-tvm", "TVM (Relax, untuned)", "tvm_relax.py", optional=True),
    converting("iree", "iree-base-runtime", "IREE", "iree_vm.py", "iree_convert.py", optional=True),
    converting("litert", "ai-edge-litert", "LiteRT (via onnx2tf)", "litert_interpreter.py", "litert_convert.py", optional=True),
]
