"""A stand-in for torch_tpu: torch's PrivateUse1 renamed to "tpu", whose device is one thread of the
host (device.cpp).

The import builds the device once with the C++ compiler and registers it with torch in this process.
Each process that does so adds its number to the file TOY_TPU_LOG.
"""

import os
import types
from pathlib import Path

import torch
from torch_tpu.library import build_library

torch.ops.load_library(str(build_library()))
torch.utils.rename_privateuse1_backend("tpu")

module = types.ModuleType("torch.tpu")
module.is_available = lambda: True
module.is_initialized = lambda: True
module.device_count = lambda: 1
module.current_device = lambda: 0
module.set_device = lambda index: None
module.synchronize = lambda index=None: torch.accelerator.synchronize()
module.get_device_name = lambda index=None: "Toy TPU (a thread)"
module.get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]
module.manual_seed = module.manual_seed_all = lambda seed: None
module._is_in_bad_fork = lambda: False
module._lazy_init = lambda: None
torch._register_device_module("tpu", module)
torch.utils.generate_methods_for_privateuse1_backend()

if log := os.environ.get("TOY_TPU_LOG"):
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
