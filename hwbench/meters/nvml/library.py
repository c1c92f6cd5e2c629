"""NVIDIA's driver library NVML: opened, asked, and its errors explained with their cure. The only
module that imports pynvml."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from hwbench.meters.binding import one_line

Answer = TypeVar("Answer")
Nvml = Any
"""The module pynvml of nvidia-ml-py, which has no types."""
Handle = Any


class NoAnswer(Exception):
    """Why the driver does not answer, in one line with the cure.

    `code` is NVML's, None if not the driver failed. `again`: it may answer later.
    """

    def __init__(
        self, reason: str, cure: str = "", code: int | None = None, again: bool = False
    ) -> None:
        super().__init__(f"{reason}; {cure}" if cure else reason)
        self.reason, self.cure, self.code, self.again = reason, cure, code, again

    @property
    def lost(self) -> bool:
        """Whether the GPU will not answer any other question, either."""
        return self.code in (LOST, RESET_REQUIRED)


# the numbers of nvml.h, nvmlReturn_t: the module that has their names may be missing
INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, NOT_LOADED = 2, 3, 4, 6, 9
NO_LIBRARY, NO_FUNCTION, LOST, RESET_REQUIRED, OTHER_VERSION = 12, 13, 15, 16, 18
IN_USE, NO_MEMORY, NO_DATA = 19, 20, 21

MOST_GPUS = 64
"""More than any machine has."""

OPENING = {
    NO_PERMISSION: (
        "no permission to open the NVIDIA driver",
        "let this user read and write /dev/nvidiactl and /dev/nvidia0, or run as root",
    ),
    NOT_LOADED: (
        "the NVIDIA driver is not loaded",
        "load it: sudo modprobe nvidia; if there is none, install it",
    ),
    NO_LIBRARY: (
        "there is no NVIDIA driver library (libnvidia-ml.so.1)",
        "install the NVIDIA driver; start a container with its GPUs, as docker run --gpus all does",
    ),
    OTHER_VERSION: (
        "the NVIDIA driver in the kernel and its library are of different versions, "
        "as after an update",
        "reboot, or reload the module: "
        "sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia; sudo modprobe nvidia",
    ),
}
"""The reason and the cure for errors of nvmlInit."""

ASKING = {
    NOT_SUPPORTED: ("the driver does not show it for this GPU", ""),
    NO_PERMISSION: (
        "no permission to ask the driver for it",
        "run as root, or ask who runs the machine",
    ),
    NOT_FOUND: ("the driver knows no such GPU", "compare with nvidia-smi -L"),
    NO_FUNCTION: ("the driver is too old to show it", "install a newer NVIDIA driver"),
    LOST: ("the GPU is lost", "sudo dmesg | grep Xid says why; reboot"),
    RESET_REQUIRED: ("the GPU must be reset", "sudo nvidia-smi --gpu-reset, or reboot"),
    NO_DATA: ("the driver has no sample of it", ""),
}
"""The same for any other call."""

TOO_OLD = (
    "the Python package nvidia-ml-py is too old to ask for it",
    "pip install --upgrade nvidia-ml-py",
)

NO_TEXT = (
    "the driver gives a text that is not UTF-8",
    "install another NVIDIA driver (555.85 and 555.99 do so under WSL2)",
)


def open_library() -> Nvml:
    """The driver's library, initialized; `close_library` ends its use. NoAnswer if it does not
    work."""
    try:
        import pynvml
    except ImportError as error:
        raise NoAnswer(
            "the Python package nvidia-ml-py is missing", "pip install nvidia-ml-py"
        ) from error
    except Exception as error:  # another package may have the name
        raise NoAnswer(*_unreadable(error)) from error
    answer(pynvml, lambda: pynvml.nvmlInit(), OPENING)
    return pynvml


def close_library(nvml: Nvml) -> None:
    """End the use of an opened library. NVML counts its users, so another one in this process keeps
    it open."""
    with suppress(NoAnswer):
        answer(nvml, lambda: nvml.nvmlShutdown())


def answer(
    nvml: Nvml, ask: Callable[[], Answer], words: dict[int, tuple[str, str]] = ASKING
) -> Answer:
    """What `ask` returns. NoAnswer instead of whatever it raises.

    The binding raises more than its NVMLError: UnicodeDecodeError for a name that is not UTF-8, and
    errors of ctypes and of types where its version and the driver's do not fit.
    """
    try:
        return ask()
    except NoAnswer:
        raise
    except Exception as error:
        raise _no_answer(nvml, error, words) from error


def text(nvml: Nvml, ask: Callable[[], str | bytes]) -> str:
    """The text that `ask` returns. NoAnswer as in `answer`, and for one that is empty or not
    UTF-8."""
    said = answer(nvml, lambda: _decoded(ask()))
    if not said.strip():
        raise NoAnswer("the driver gives an empty text")
    return said


def _decoded(said: str | bytes) -> str:
    """The text; the old package pynvml, which has the binding's name, gives bytes."""
    return said.decode() if isinstance(said, bytes) else str(said)


def _no_answer(nvml: Nvml, error: Exception, words: dict[int, tuple[str, str]]) -> NoAnswer:
    if isinstance(error, getattr(nvml, "NVMLError", ())):
        code = getattr(error, "value", None)
        unknown = (f"the driver fails (NVML: {one_line(error)})", "sudo dmesg may say why")
        again = code in (IN_USE, NO_MEMORY, NO_DATA)
        return NoAnswer(*words.get(code, unknown), code, again)  # type: ignore[arg-type]
    if isinstance(error, AttributeError):
        return NoAnswer(*TOO_OLD)
    if isinstance(error, UnicodeDecodeError):
        return NoAnswer(*NO_TEXT)
    return NoAnswer(*_unreadable(error))


def _unreadable(error: Exception) -> tuple[str, str]:
    what = one_line(error, named=True)
    return f"the Python package nvidia-ml-py fails ({what})", TOO_OLD[1]


def list_gpus(nvml: Nvml) -> list[int]:
    """The places of the driver's GPUs, lost ones too. NoAnswer if it shows none for a reason.

    A driver may not count its GPUs because one of them is lost; then each place is asked for, up to
    the first that it does not know.
    """
    try:
        return list(range(answer(nvml, lambda: int(nvml.nvmlDeviceGetCount()))))
    except NoAnswer as why:
        found = _probe(nvml)
        if not found:
            raise why from None
        return found


def _probe(nvml: Nvml) -> list[int]:
    """The places below the first that the driver does not know; without such an end those up to the
    last GPU that answers."""
    answering = 0
    for index in range(MOST_GPUS):
        try:
            answer(nvml, lambda index=index: nvml.nvmlDeviceGetHandleByIndex(index))  # type: ignore[misc]
        except NoAnswer as why:
            if why.code in (INVALID_ARGUMENT, NOT_FOUND):
                return list(range(index))
        else:
            answering = index + 1
    return list(range(answering))


def find_index(uuid: str) -> int | None:
    """The place of a GPU in the driver's own list, which CUDA_VISIBLE_DEVICES does not change; of a
    MIG slice the place of its card. None if the driver does not say.

    `uuid` is the one that torch gives, with or without its prefix.
    """
    try:
        nvml = open_library()
    except NoAnswer:
        return None
    try:
        return find(nvml, uuid)[0]
    except NoAnswer:
        return None
    finally:
        close_library(nvml)


def find(nvml: Nvml, gpu: str | int) -> tuple[int, Handle, bool]:
    """The index of a GPU in the driver's list, its handle, and whether `gpu` is only a MIG slice of
    it.

    `gpu` is an index, which means the whole card, or a program's name for its GPU: a UUID with or
    without prefix, or a PCI bus address. NoAnswer if there is no such GPU.
    """
    if isinstance(gpu, int):
        return gpu, answer(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(gpu)), False
    if ":" in gpu:
        handle, is_slice = answer(nvml, lambda: nvml.nvmlDeviceGetHandleByPciBusId(gpu)), False
    else:
        handle, is_slice = _find_by_uuid(nvml, gpu)
    index = answer(nvml, lambda: int(nvml.nvmlDeviceGetIndex(handle)))
    return index, handle, is_slice or _is_partitioned(nvml, handle)


def _is_partitioned(nvml: Nvml, handle: Handle) -> bool:
    """Whether the card is in MIG mode. Then no program has all of it, even if it knows the card's
    UUID."""
    with suppress(NoAnswer):
        return answer(nvml, lambda: bool(nvml.nvmlDeviceGetMigMode(handle)[0]))
    return False


def _find_by_uuid(nvml: Nvml, uuid: str) -> tuple[Handle, bool]:
    """The handle of a GPU and False; for a MIG slice the handle of its GPU and True."""
    if uuid.startswith("MIG-"):
        part = answer(nvml, lambda: nvml.nvmlDeviceGetHandleByUUID(uuid))
        return answer(nvml, lambda: nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part)), True
    bare = uuid.removeprefix("GPU-")
    try:
        return answer(nvml, lambda: nvml.nvmlDeviceGetHandleByUUID(f"GPU-{bare}")), False
    except NoAnswer as why:
        if why.lost:
            return _find_beside_lost(nvml, f"GPU-{bare}", why), False
        if bare != uuid or why.code not in (NOT_FOUND, INVALID_ARGUMENT):
            raise
    # torch gives also the UUID of a slice without its prefix
    return _find_by_uuid(nvml, f"MIG-{bare}")


def _find_beside_lost(nvml: Nvml, uuid: str, why: NoAnswer) -> Handle:
    """The handle of a GPU by asking each one: NVML may fail to look for a UUID because another GPU
    is lost. Raises `why` if there is none."""
    for index in list_gpus(nvml):
        with suppress(NoAnswer):
            handle = answer(nvml, lambda index=index: nvml.nvmlDeviceGetHandleByIndex(index))  # type: ignore[misc]
            if text(nvml, lambda handle=handle: nvml.nvmlDeviceGetUUID(handle)) == uuid:  # type: ignore[misc]
                return handle
    raise why
