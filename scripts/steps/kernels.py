"""Horovod's CUDA kernels, compiled by NVRTC, as a C++ header. Needs no GPU and no nvcc."""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

from steps import ui

# T4, A100, A10, L4, H100, B200, RTX 50; a GPU that is none of them takes the PTX, where it can.
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120", "compute_75")
BLOCKS = 8  # of a copy; BLOCKS_PER_COPY_D2D_KERNEL
TYPES = {
    "Uint8": ("unsigned char", "double"),
    "Int8": ("signed char", "double"),
    "Int32": ("int", "double"),
    "Int64": ("long", "double"),
    "Float16": ("__half", "__half"),
    "Float32": ("float", "float"),
    "Float64": ("double", "double"),
}
STRUCT = (
    "struct BatchedD2DParams {\n  void* out[BATCHED_D2D_CAPACITY];\n"
    "  void* in[BATCHED_D2D_CAPACITY];\n  size_t sizes[BATCHED_D2D_CAPACITY];\n};"
)
# What the kernels need of cuda_kernels.h, without the host's headers.
HEADER = """
typedef unsigned char uint8_t; typedef signed char int8_t;
typedef int int32_t; typedef long int64_t;
#define BATCHED_D2D_CAPACITY {capacity}
#define BATCHED_D2D_PADDING {padding}
namespace horovod {{ namespace common {{
{struct}
}} }}
"""


def names() -> dict[str, str]:
    """{constant of the header: the kernel in C++}."""
    space = "horovod::common::"
    found = {
        "kBatchedCopy": f"{space}batched_memcpy_k<{BLOCKS}>",
        "kScaleHalf2": f"{space}scale_buffer_half2_k",
    }
    for name, (value, factor) in TYPES.items():
        found[f"kScale{name}"] = f"{space}scale_buffer_k<{value}, {factor}>"
        found[f"kBatchedScale{name}"] = (
            f"{space}batched_scaled_memcpy_k<{value}, {BLOCKS}, {factor}>"
        )
    return found


def write(folder: Path, nvrtc: Path, include: list[Path]) -> None:
    """cuda_kernels_images.h beside cuda_kernels.cu in `folder`."""
    compiler = Nvrtc(nvrtc)
    declared = (folder / "cuda_kernels.h").read_text(encoding="utf-8")
    constants = [
        re.search(rf"#define BATCHED_D2D_{name} (\d+)", declared)
        for name in ("CAPACITY", "PADDING")
    ]
    if not all(constants) or STRUCT not in declared:
        raise ui.SetupError("cuda_kernels.h is not the one that steps/kernels.py was written for")
    capacity, padding = (int(found[1]) for found in constants if found)
    header = HEADER.format(capacity=capacity, padding=padding, struct=STRUCT)
    source = (folder / "cuda_kernels.cu").read_text(encoding="utf-8")
    parts, images = [], []
    lowered: dict[str, str] = {}
    for arch in ARCHITECTURES:
        code, lowered = compiler.compile(source, header, arch, include, names())
        digits = arch.partition("_")[2]
        is_ptx = arch.startswith("compute")
        parts.append(f"alignas(16) const unsigned char {arch}[] = {{{_bytes(code)}}};")
        images.append(f"{{{digits[:-1]}, {digits[-1]}, {str(is_ptx).lower()}, {arch}}}")
    text = [
        "// Made by scripts/steps/kernels.py.",
        "namespace {",
        "struct Image { int major; int minor; bool is_ptx; const unsigned char* data; };",
        *parts,
        f"const Image kImages[] = {{{', '.join(images)}}};",
        *(f'const char* const {constant} = "{lowered[constant]}";' for constant in lowered),
        "} // namespace\n",
    ]
    (folder / "cuda_kernels_images.h").write_text("\n".join(text), encoding="utf-8")


def _bytes(code: bytes) -> str:
    return ",".join(map(str, code))


class Nvrtc:
    """The compiler in libnvrtc."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def compile(
        self, source: str, header: str, arch: str, include: list[Path], wanted: dict[str, str]
    ) -> tuple[bytes, dict[str, str]]:
        """Code (ELF of an sm_, PTX of a compute_), and each wanted kernel's symbol in it."""
        program = ctypes.c_void_p()
        headers = (ctypes.c_char_p * 2)(header.encode(), b"")
        called = (ctypes.c_char_p * 2)(b"cuda_kernels.h", b"stdexcept")
        self._call("CreateProgram", ctypes.byref(program), source.encode(), b"cuda_kernels.cu", 2,
                   headers, called)  # fmt: skip
        try:
            for kernel in wanted.values():
                self._call("AddNameExpression", program, kernel.encode())
            options = [f"--gpu-architecture={arch}", "--std=c++17", *_include(include)]
            arguments = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
            try:
                self._call("CompileProgram", program, len(options), arguments)
            except ui.SetupError as error:
                log = self._text("ProgramLog", program).rstrip(b"\0").decode("utf-8", "replace")
                raise ui.SetupError(f"{error}\n{log}") from None
            symbols = {}
            for constant, kernel in wanted.items():
                symbol = ctypes.c_char_p()
                self._call("GetLoweredName", program, kernel.encode(), ctypes.byref(symbol))
                symbols[constant] = (symbol.value or b"").decode()
            return self._text("CUBIN" if arch.startswith("sm") else "PTX", program), symbols
        finally:
            self._call("DestroyProgram", ctypes.byref(program))

    def _text(self, what: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"Get{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(f"Get{what}", program, buffer)
        return buffer.raw

    def _call(self, name: str, *arguments: object) -> None:
        code = getattr(self.library, f"nvrtc{name}")(*arguments)
        if code:
            said = self.library.nvrtcGetErrorString(code).decode()
            raise ui.SetupError(f"NVRTC, {name}: {said}")


def _include(folders: list[Path]) -> Iterator[str]:
    return (f"--include-path={folder}" for folder in folders)
