"""CUDA from the packages that TensorFlow's `and-cuda` extra takes, and Horovod's build with it."""

import hashlib
import os
import shutil
from pathlib import Path

from steps import horovod, kernels, packages, ui
from steps.paths import GPU_LOCK, HOROVOD_GPU_PATCH, ROOT

# NVRTC compiles; nvcc's package, which has no nvcc, and CCCL have headers that the others include.
NEEDED = (
    "nvidia-cuda-runtime-cu12",
    "nvidia-cuda-nvcc-cu12",
    "nvidia-cuda-nvrtc-cu12",
    "nvidia-nccl-cu12",
    "nvidia-cuda-cccl-cu12",
)
FOLDER = ROOT / "build" / "gpu"
SITE = FOLDER / "site-packages"
HOME = FOLDER / "cuda"  # as CUDA's own installer lays it out
LIBRARIES = {
    "libcudart.so": "cuda_runtime/lib/libcudart.so.12",
    "libnccl.so": "nccl/lib/libnccl.so.2",
}
INCLUDES = ("cuda_runtime", "cuda_nvcc", "cuda_cccl", "nccl")


class GpuBuild(horovod.Build):
    """The wheel whose collectives of GPU tensors are NCCL's."""

    command = "make horovod-gpu"

    def own_flags(self) -> dict[str, str]:
        return {"HOROVOD_GPU": "CUDA", "HOROVOD_GPU_OPERATIONS": "NCCL"}

    def own_inputs(self) -> dict[str, object]:
        locked = packages.blocks(GPU_LOCK)
        made_from = [
            *(locked[name].encode() for name in NEEDED),
            HOROVOD_GPU_PATCH.read_bytes(),
            Path(kernels.__file__).read_bytes(),
        ]
        return {"gpu": [hashlib.sha256(part).hexdigest() for part in made_from]}

    def prepare(self, source: Path) -> dict[str, str]:
        install()
        horovod.apply_patch(HOROVOD_GPU_PATCH, source)
        folder = source / "horovod" / "common" / "ops" / "cuda"
        nvidia = SITE / "nvidia"
        kernels.write(folder, nvidia / "cuda_nvrtc/lib/libnvrtc.so.12", [HOME / "include"])
        # A system's CUDA is another version: only this one.
        return {
            "HOROVOD_CUDA_HOME": str(HOME),
            "CUDA_HOME": str(HOME),
            "HOROVOD_NCCL_INCLUDE": str(HOME / "include"),
            "HOROVOD_NCCL_LIB": str(HOME / "lib64"),
            "HOROVOD_NCCL_LINK": "SHARED",
            "HOROVOD_WITHOUT_NVTX": "1",
        }


def install() -> None:
    """The packages that the build needs, in build/gpu, and a CUDA home made of them."""
    locked = packages.blocks(GPU_LOCK)
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = FOLDER / "wanted.txt"
    wanted.write_text("".join(locked[name] for name in NEEDED), encoding="utf-8")
    hashed = ("--no-deps", "--require-hashes", "-r", wanted)
    packages.finish(packages.start_uv("CUDA and NCCL", "install", "--target", SITE, *hashed))
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "lib64").mkdir(parents=True)
    for name, target in LIBRARIES.items():
        (HOME / "lib64" / name).symlink_to(SITE / "nvidia" / target)
    for package in INCLUDES:
        include = SITE / "nvidia" / package / "include"
        shutil.copytree(include, HOME / "include", dirs_exist_ok=True, copy_function=os.symlink)


def check(wheel: Path) -> None:
    """Load the wheel beside the packages, as an environment with GPUs has it; needs no GPU.

    Raises:
        SetupError: it does not load, or is not what it should be.
    """
    install()
    title = "Horovod for GPUs (unpacking)"
    packages.finish(
        packages.start_uv(title, "install", "--no-deps", "--reinstall", "--target", SITE, wheel)
    )
    code = (
        "import horovod.tensorflow as hvd\n"
        f"assert hvd.__file__.startswith({str(SITE)!r}), hvd.__file__\n"
        "assert hvd.nccl_built() and hvd.cuda_built() and hvd.gloo_built()\n"
        "loaded = {line.split()[-1] for line in open('/proc/self/maps')}\n"
        "for name in ('libnccl.so.2', 'libcudart.so.12'):\n"
        "    [path] = [path for path in loaded if path.endswith(name)]\n"
        f"    assert path.startswith({str(SITE.resolve())!r}), path\n"
    )
    env = packages.uv_env() | {"PYTHONPATH": str(SITE)}
    env.pop("LD_LIBRARY_PATH", None)
    ui.run("Horovod for GPUs (checking)", [packages.PYTHON, "-c", code], env=env, cwd=FOLDER)
