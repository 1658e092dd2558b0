"""Brings runtimes by name, in pinned versions, each into its own folder. A second call does nothing."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from places import CACHE, ROOT

LIMIT = 7200  # seconds for one step: tract takes half an hour of a core to build
STAMP = "installed"  # holds the pins; written last, so it says that the folder is whole


class Failed(Exception):
    """A runtime cannot be installed; the text says why."""


def run(*command, cwd=None, **environment):
    command = [str(part) for part in command]
    if not shutil.which(command[0]):
        raise Failed(f"{command[0]} is not installed")
    try:
        result = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command[:4])} … took longer than {LIMIT} s") from None
    if result.returncode:
        last = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()][-3:]
        raise Failed(f"{pathlib.Path(command[0]).name} {' '.join(command[1:4])} …: exit code {result.returncode}: {' / '.join(last)}")
    return result.stdout


def size(*paths, without=()):
    total = 0
    for path in paths:
        files = [path] if path.is_file() else path.rglob("*")
        total += sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink()
                     and not any(part in without for part in file.parts))
    return total / 1e6


@contextlib.contextmanager
def alone():
    """Lets no other run install at the same time: both would make the same folder."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def once(name, pins, make):
    """Calls make(folder) unless the folder's stamp says that these very pins are in it."""
    folder = CACHE / name
    stamp = folder / STAMP
    if not stamp.is_file() or stamp.read_text() != pins:
        print(f"conformance: installing {name}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        stamp.write_text(pins)
    return folder


def python(name, pins):
    if not pins.is_file():
        raise Failed(f"no pins: {pins.relative_to(ROOT)} is missing")

    def make(folder):
        run(os.environ.get("PYTHON", sys.executable), "-m", "venv", folder / "venv")
        # The pins name all that is needed; what a package asks for beyond them (pnnx: PyTorch with CUDA) is left out.
        run(folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--no-deps", "-r", pins)

    return size(once(name, pins.read_text(), make) / "venv" / "lib", without=("pip", "setuptools", "pkg_resources", "__pycache__"))


def npm(name, pins, with_chromium):
    def make(folder):
        for file in ("package.json", "package-lock.json"):
            shutil.copy(pins / file, folder)
        # No script of a package runs: nothing is downloaded behind npm's back.
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    total = size(once(name, (pins / "package-lock.json").read_text(), make) / "node_modules")
    if not with_chromium:
        return total
    if not chromium():
        if not shutil.which("apt-get") or os.geteuid() != 0:
            raise Failed("no chromium: install the package chromium, or name the program in CHROMIUM")
        print("conformance: installing Debian's package chromium", file=sys.stderr, flush=True)
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", DEBIAN_FRONTEND="noninteractive")
    if shutil.which("dpkg-query"):
        sizes = subprocess.run(["dpkg-query", "-W", "-f", "${Installed-Size}\n", "chromium", "chromium-common"], capture_output=True, text=True).stdout
        total += sum(map(int, sizes.split())) * 1024 / 1e6
    return total


def chromium():
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def cargo(name, manifest, program):
    pins = "".join(file.read_text() for file in (manifest, manifest.with_name("Cargo.lock"), manifest.parent / "src" / "main.rs"))
    folder = CACHE / name
    stamp = folder / STAMP
    # Cargo itself is idempotent, and keeps what an interrupted build has built.
    if not program.is_file() or not stamp.is_file() or stamp.read_text() != pins:
        print(f"conformance: building {name}", file=sys.stderr, flush=True)
        run("cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", manifest, CARGO_TARGET_DIR=str(folder / "target"))
        stamp.write_text(pins)
    return size(program)


def java(name, source, artifact):
    def make(folder):
        run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder / 'jars'}")
        run("javac", "-cp", f"{folder / 'jars'}/*", "-d", folder / "classes", source)

    return size(once(name, artifact + source.read_text(), make) / "jars")


def slipway(library):
    """infer, which make builds, and the library that setup-onnxruntime brings where it is used."""
    infer = ROOT / "bin" / "infer"
    if not infer.is_file():
        raise Failed("bin/infer is not built: make build")
    return size(infer, *([ROOT / ".cache" / "onnxruntime" / pinned_onnxruntime()] if library else []))


def pinned_python(pins, package):
    return pinned(pins, rf"^{re.escape(package)}==(\S+)")


def pinned_npm(pins, package):
    return json.loads((pins / "package.json").read_text())["dependencies"][package]


def pinned_cargo(manifest, package):
    return pinned(manifest, rf'^{re.escape(package)} = "=([^"]+)"')


def pinned_go(module):
    return pinned(ROOT / "go.mod", rf"^\s*{re.escape(module)} (v\S+)")


def slipway_version():
    return pinned(ROOT / "internal" / "version" / "version.go", r'\bModule = "([^"]+)"')


def pinned_onnxruntime():
    return pinned(ROOT / "infer" / "onnxruntime.pins", r"^cpu\s+linux-amd64\s+pip\s+onnxruntime\s+(\S+)")


def pinned(file, pattern):
    found = re.search(pattern, file.read_text(), re.MULTILINE) if file.is_file() else None
    return found.group(1) if found else "not pinned"
