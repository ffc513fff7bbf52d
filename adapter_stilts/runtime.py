"""HOW it is computed: device, memory, parallelism, places. Nothing here changes a result; nothing here is hashed."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A sub-batch costs one pass through the layers however short it is. Expressed in tokens of work, measured on
# two CPU cores (4 to 12 layers) and taken from launch-bound timings for GPUs.
OVERHEAD_TOKENS = {"cpu": 32, "cuda": 2048}


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True)
class Runtime:
    """Settings of a run that leave its results alone.

    Args:
        store: where finished stages live.
        cache: where encoded features live.
        data: folder of release files; None reads the hub.
        device: ``cpu``, ``cuda``, or None for the best at hand.
        micro_batch_tokens: tokens of one forward and backward pass; None derives it from the machine's memory.
        checkpoint_seconds: least time between checkpoints (they take at most a twentieth of the time anyway).
        trackers: names for accelerate's ``log_with``.
        fill_from_hub: whether what the folder of release files lacks is read from the hub.
        retries: seconds to wait before a stage that failed of a cause that may pass is tried again, one for each time.
    """

    store: Path = Path("runs")
    cache: Path = field(default_factory=lambda: default_cache())
    data: str | None = None
    device: str | None = None
    micro_batch_tokens: int | None = None
    checkpoint_seconds: float = 60.0
    trackers: tuple[str, ...] = ()
    fill_from_hub: bool = False
    retries: tuple[float, ...] = ()

    def to_json(self) -> str:
        """For another process."""
        told = {
            name: str(value) if isinstance(value, Path) else value for name, value in self.__dict__.items()
        }
        return json.dumps({**told, "store": str(self.store.absolute()), "cache": str(self.cache.absolute())})

    @classmethod
    def from_json(cls, text: str) -> Runtime:
        """What `to_json` tells."""
        told = json.loads(text)
        paths = {name: Path(told[name]) for name in ("store", "cache")}
        several = {name: tuple(told[name]) for name in ("trackers", "retries")}
        return cls(**{**told, **paths, **several})


def default_cache() -> Path:
    """``$ADAPTER_STILTS_CACHE``, else the user's cache folder."""
    if chosen := os.environ.get("ADAPTER_STILTS_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "adapter-stilts"


def is_first_process() -> bool:
    """Whether this process is the first of its launch (as torchrun and accelerate number them)."""
    return os.environ.get("RANK", "0") == "0"


def evaluation_tokens(device_type: str) -> int:
    """Tokens of one forward pass: on a CPU larger batches only fall out of its caches; a GPU wants to be full."""
    return 4096 if device_type == "cpu" else 65536


def default_device() -> str:
    """``cuda`` where torch finds a GPU, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(device: str | None, here: bool = True) -> None:
    """Refuse a device that is none; where it is to compute `here`, also one that this machine lacks.

    Raises:
        UsageError: no such device.
    """
    from adapter_stilts.errors import UsageError

    if device not in (None, "cpu", "cuda"):
        raise UsageError(f"--device {device}: choices are cpu and cuda")
    if here and device == "cuda" and default_device() != "cuda":
        raise UsageError("--device cuda: torch finds no GPU here; use --device cpu")


def size_of(text: str) -> int:
    """Bytes of ``8GiB``, ``7.5gb`` or a plain number. Raises UsageError."""
    import re

    from adapter_stilts.errors import UsageError

    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)", text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise UsageError(f"--gpu-memory {text!r}: should be a size such as 8GiB, 24GB or 8589934592")
    size = int(float(found[1]) * _UNITS[found[2].lower()])
    if not found[2] and size < 2**20:
        raise UsageError(
            f"--gpu-memory {text!r} is {size} bytes, which holds no encoder: with a unit it is {found[1]}GiB"
        )
    return size


def seconds_of(text: str) -> float:
    """Seconds of ``10m``, ``1.5h``, ``90s`` or a plain number. Raises UsageError."""
    import re

    from adapter_stilts.errors import UsageError

    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smh]?)", text.strip())
    if found is None:
        raise UsageError(f"--budget {text!r}: should be a time such as 90s, 10m or 1.5h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def total_memory(device_type: str) -> int:
    """Bytes of memory of the GPU or of the machine."""
    if device_type == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resident_memory() -> int:
    """Bytes of memory this process holds now; its peak where the system tells no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return peak_memory("cpu")["resident"]
    return pages * os.sysconf("SC_PAGE_SIZE")


def return_freed_memory() -> None:
    """Give the system back what the C library keeps of freed memory: after quantising, more than the weights take."""
    if (trim := _glibc("malloc_trim")) is not None:
        trim(0)


@contextlib.contextmanager
def large_blocks_apart() -> Iterator[None]:
    """Keep what is made here, and stays, out of the heap where passes make and free their tensors.

    glibc puts blocks of up to 32 MiB side by side there, and what stays leaves holes in it that no larger tensor fits:
    of XLM-R Large with LoRA in 8 bits a third of the memory, of full fine-tuning a fifth. Within, blocks of a MiB and
    more are mappings of their own. Not for passes: to map each of their tensors anew takes half as much time again.
    """
    set_ = _glibc("mallopt")
    if set_ is not None:
        set_(_MMAP_THRESHOLD, 2**20)
    try:
        yield
    finally:
        if set_ is not None:  # what glibc comes to by itself
            set_(_MMAP_THRESHOLD, 2**25)
            set_(_TRIM_THRESHOLD, 2**26)


# Of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def _glibc(function: str) -> Any:
    """A function of the GNU C library; None where another is in use."""
    import ctypes

    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None


def peak_memory(device_type: str) -> dict[str, int]:
    """Peak bytes of this process: resident, and allocated on the GPU where there is one."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if device_type == "cuda":
        import torch

        peak["cuda"] = int(torch.cuda.max_memory_allocated())
    return peak


def versions() -> dict[str, str]:
    """Versions of what can change a result."""
    from importlib import metadata

    from adapter_stilts.version import __version__

    found = {"adapter-stilts": __version__, "python": platform.python_version()}
    for name in (
        "torch",
        "transformers",
        "tokenizers",
        "adapters",
        "peft",
        "bitsandbytes",
        "accelerate",
        "datasets",
    ):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware(device_type: str) -> dict[str, Any]:
    """Device, processor and threads, for the record."""
    import torch

    described: dict[str, Any] = {
        "device": device_type,
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "memory": total_memory("cpu"),
    }
    if device_type == "cuda":
        described["gpu"] = torch.cuda.get_device_name(0)
        described["gpu_memory"] = total_memory("cuda")
    return described


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or on the machine (whose allocator raises a plain RuntimeError)."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # The last is what oneDNN says where it gets no memory for a compiled product.
    signs = ("can't allocate memory", "not enough memory", "could not create a primitive")
    return any(sign in str(error) for sign in signs)
