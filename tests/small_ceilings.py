"""`gemm` and `copy` for tests in which a run must have ceilings and need not find the machine's."""

from dataclasses import replace

from hwbench.workload import axis
from workloads import copy as copying
from workloads import gemm as products

gemm = replace(products.gemm, axes={**products.gemm.axes, **dict.fromkeys("mnk", axis(256))})
copy = replace(copying.copy, axes={**copying.copy.axes, "mb": axis(8)})
