"""Makes dist/gpu/horovod-*.whl, with NCCL; `make horovod-gpu` runs it. docs/gpu.md tells more."""

import shutil

from steps import cuda, ui
from steps.paths import ROOT


def main() -> None:
    build = cuda.GpuBuild()
    if not build.wheel():
        build.check_tools()
    build.start()
    wheel = build.finish()
    cuda.check(wheel)
    target = ROOT / "dist" / "gpu"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(wheel, target)
    made = target / wheel.name
    ui.say(f"  {made.relative_to(ROOT)!s:<60} {made.stat().st_size / 1e6:6.1f} MB")


if __name__ == "__main__":
    try:
        main()
    except ui.SetupError as error:
        ui.fail(str(error), what="Horovod for GPUs")
    except KeyboardInterrupt:
        ui.fail("interrupted", what="Horovod for GPUs")
