"""The built-in workloads.

Every module here that holds an `@workload` is found by name. `models/` holds what they run,
`hwbench/accounts/` counts their work in closed form, and `suites/` lists which cases belong
together. To add a workload, put one file beside these (or in any package, under the entry-point
group `hwbench.workloads`, or anywhere, given as `--workloads FILE`):

    @workload("scale", n=[1 << 20], dtype=["fp32", "bf16"])
    def scale(p, device):
        \"\"\"Turn the sign of every number of a vector.\"\"\"
        dtype = torch_dtype(p.dtype)
        device.require(p.dtype, state_bytes=p.n * dtype.itemsize)
        x = torch.randn(p.n, device=device.torch, dtype=dtype)

        def step(mark):
            torch.mul(x, -1.0, out=x)
            mark("scale")

        return Built(step, work=Work(flops=p.n, bytes=2 * p.n * dtype.itemsize))

Only `step` is timed; the build is not. Refuse what cannot run with `Unsupported` before anything is
allocated, use random data (zeros run faster than real numbers), and count the work in closed form:
unknown is None, never 0.
"""
