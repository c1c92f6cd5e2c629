"""The machine's ceilings: what they compute and count, and the search for the fastest matmul."""

import pytest
import torch
from test_workloads import build, run_step
from torch.nn.functional import scaled_dot_product_attention

from hwbench.accounts.matmul import Shape
from hwbench.devices import open_device
from hwbench.devices.cpu import CpuDevice
from hwbench.devices.fake import FakeDevice
from hwbench.records import Unsupported, Work
from workloads import copy as copying
from workloads import gemm as gemms
from workloads import transfer as transferring
from workloads.ceilings import products, search
from workloads.ceilings.products import FORMATS, product_of

pytestmark = pytest.mark.usefixtures("one_thread", "true_fp32")


@pytest.fixture
def true_fp32():
    """Restore torch's setting, which a product of tf32 changes for the whole process."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


class CachedCpu(CpuDevice):
    """A CPU with caches of given sizes."""

    def __init__(self, **sizes):
        super().__init__()
        self._sizes = sizes

    def caches(self):
        return self._sizes


class TestProducts:
    @pytest.mark.machine
    @pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp8", "int8"])
    def test_format_multiplies(self, dtype):
        device = open_device("cpu")
        x = FORMATS[dtype].draw(Shape(32, 48, 64), device)
        if dtype == "int8":
            # AVX2 adds two products in 16 bits, too few for the whole range
            x.b.clamp_(-64, 63)
        product_of(dtype, device)(x)
        expected = x.a.double() @ x.b.double()
        assert (x.a.shape, x.b.shape, x.c.shape) == ((32, 64), (64, 48), (32, 48))
        if dtype == "int8":
            assert x.c.dtype is torch.int32
            assert torch.equal(x.c.double(), expected)
        else:
            # for sums near 8, rounded to 24 or 8 bits
            error = {"fp32": 1e-5, "bf16": 0.1, "fp8": 0.3}[dtype]
            assert (x.c.double() - expected).abs().max() < error

    def test_saturating_int8_sums_are_recorded(self):
        device = open_device("cpu")

        def exact(x):
            return x.c.copy_(x.a.int() @ x.b.int())

        def saturating(x):
            return exact(x).clamp_(max=2**20)

        assert products.int8_sums(exact, device) == {"int8_sums": "exact"}
        assert products.int8_sums(saturating, device) == {"int8_sums": "saturated"}

    @pytest.mark.machine
    def test_gemm_records_int8_sums(self):
        recorded = build("gemm", "int8").declared.choices["int8_sums"]
        device = open_device("cpu")
        assert products.int8_sums(product_of("int8", device), device) == {"int8_sums": recorded}

    def test_fp32_products_set_the_highest_precision(self):
        torch.set_float32_matmul_precision("high")
        product_of("fp32", open_device("cpu"))
        assert torch.get_float32_matmul_precision() == "highest"

    def test_random_int8_cover_the_whole_range(self):
        a = FORMATS["int8"].draw(Shape(256, 1, 256), open_device("cpu")).a
        assert torch.equal(a.unique(), torch.arange(-128, 128, dtype=torch.int8))

    def test_tf32_without_effect_is_unsupported(self, monkeypatch):
        """Its result tells: fp32 keeps a bit that tf32 does not have."""
        with pytest.raises(
            Unsupported, match="has no tf32: torch multiplies all bits of fp32 here"
        ):
            build("gemm", "tf32")
        monkeypatch.setattr("hwbench.devices._torch.BEYOND_TF32", 1.0)  # as if the bit were lost
        assert product_of("tf32", open_device("cpu")) is product_of("fp32", open_device("cpu"))

    def test_failing_product_is_unsupported_in_one_line(self, monkeypatch):
        def no_kernel(x):
            raise RuntimeError("only on devices of capability 8.9\nlong trace")

        monkeypatch.setattr(products, "_scaled", lambda device: no_kernel)
        with pytest.raises(
            Unsupported, match=r"does not multiply fp8: only on devices of capability 8\.9$"
        ):
            product_of("fp8", open_device("cpu"))

    def test_out_of_memory_is_not_a_missing_format(self, monkeypatch):
        def exhausted(x):
            raise torch.OutOfMemoryError("out of memory")

        monkeypatch.setattr(products, "_int_mm", exhausted)
        with pytest.raises(torch.OutOfMemoryError):
            build("gemm", "int8")


class TestSearch:
    def search(self, rates, fits=lambda shape: True):
        """Search with shapes that multiply at `rates(shape)`; return the best and those timed."""
        self.now_s, timed = 0.0, []

        def seconds_of(shape):
            timed.append(shape)
            self.now_s += (1 + search.TRIALS) * shape.flops / rates(shape)
            return shape.flops / rates(shape)

        return search.search(seconds_of, fits, lambda: self.now_s), timed

    def test_step_flops_are_multiples_of_every_smaller_shape(self):
        flops = [shape.flops for shape in search.SHAPES]
        assert flops == sorted(flops)
        assert flops[0] <= search.STEP_FLOPS[0]
        for step_flops in search.STEP_FLOPS:
            assert not any(step_flops % each for each in flops if each <= step_flops)

    @pytest.mark.parametrize(
        ("rate", "step_flops"),
        [(1, 1 << 28), (8.5e10, 1 << 28), (8.6e10, 1 << 34), (1e12, 1 << 34), (8e14, 1 << 46)],
    )
    def test_step_takes_at_most_a_fifth_of_a_second(self, rate, step_flops):
        assert search.step_flops(rate) == step_flops

    def test_fastest_shape_wins(self):
        flat = Shape(4096, 4096, 512)
        best, timed = self.search(lambda shape: 2e11 if shape == flat else 1e11)
        assert (best.shape, best.step_flops) == (flat, 1 << 34)
        assert best.tried == len(timed)

    def test_shape_longer_than_a_step_is_not_tried(self):
        _, timed = self.search(lambda shape: 4e11)
        # 0.04 s; the next would take 0.34 s
        assert max(timed, key=lambda shape: shape.flops).flops == 1 << 34

    def test_slow_small_products_do_not_end_the_search(self):
        """Their rates are far below those of large ones; the best rate decides the step."""
        best, _ = self.search(lambda shape: shape.flops / (1e-5 + shape.flops / 8e14))
        assert (best.shape, best.step_flops) == (Shape(16384, 16384, 16384), 1 << 46)

    def test_disturbed_small_product_does_not_end_the_search(self):
        best, _ = self.search(lambda shape: 1e9 if shape.flops == 1 << 25 else 1e11)
        assert best.step_flops == 1 << 34

    def test_budget_ends_the_search(self):
        self.search(lambda shape: 1e11)
        assert self.now_s <= search.BUDGET_S
        slow, timed = self.search(lambda shape: 4e8)  # an emulated format
        assert (slow.shape, slow.step_flops) == (Shape(256, 256, 256), 1 << 28)
        assert [max(shape) for shape in timed] == [256, 512]
        assert self.now_s <= search.BUDGET_S

    def test_shape_that_does_not_fit_is_not_tried(self):
        _, timed = self.search(lambda shape: 1e15, fits=lambda shape: max(shape) <= 2048)
        assert {max(shape) for shape in timed} == {256, 512, 1024, 2048}

    def test_operand_sets_exceed_the_last_cache_twice(self):
        assert search.sets_beyond_cache(CachedCpu(l2=1 << 20, l3=1000), 1 << 19) == 4
        assert search.sets_beyond_cache(CachedCpu(l2=1000), 700) == 3
        assert search.sets_beyond_cache(CachedCpu(l2=1000), 5000) == 1
        # unknown: assumed to be half a gibibyte
        assert search.sets_beyond_cache(CachedCpu(), 1 << 29) == 2


class TestBest:
    @pytest.fixture(autouse=True)
    def quick(self, quick_ceilings):
        """Use `quick_ceilings` in every test."""

    def test_step_multiplies_all_sets_in_turn(self, monkeypatch):
        monkeypatch.setattr(search, "STEP_FLOPS", (1 << 28,))
        seen = []
        monkeypatch.setattr(products, "_mm", lambda x: seen.append(x.a.data_ptr()))
        built = build("gemm/best", device=CachedCpu(l3=1 << 20))
        assert built.declared.choices == {
            "shape": "256x256x256",
            "shapes_tried": "1",
            "operand_sets": "3",  # of 768 KiB each
            "products_a_step": "8",
        }
        assert built.work == Work(flops=1 << 28)
        seen.clear()
        assert run_step(built)[1] == ["gemm"]
        assert len(seen) == 8
        assert len(set(seen)) == 3
        assert seen[:5] == seen[3:8]

    def test_cold_rests_after_the_search(self, monkeypatch):
        monkeypatch.setattr(gemms, "REST_S", 3.0)
        done = []
        monkeypatch.setattr(products, "_mm", lambda x: done.append("product"))
        monkeypatch.setattr(CpuDevice, "rest", lambda self, seconds: done.append(seconds))
        build("gemm/best", load="cold")
        assert done[-1] == 3.0
        done.clear()
        build("gemm/best", load="sustained")
        assert set(done) == {"product"}

    def test_only_the_first_step_loads_the_device(self, monkeypatch):
        monkeypatch.setattr(gemms, "LOAD_S", 30.0)
        device, marks = FakeDevice(), []

        def step(mark):
            device.launch(0.4)
            mark("gemm")
            return 7

        under_load = gemms.load_before(step, device)
        assert under_load(marks.append) == 7
        device.synchronize()
        # 75 steps of 0.4 s, then its own
        assert (device.host_ns, marks) == (30_400_000_000, ["gemm"])
        under_load(marks.append)
        device.synchronize()
        assert (device.host_ns, marks) == (30_800_000_000, ["gemm"] * 2)


class TestCopy:
    @pytest.mark.parametrize(
        ("op", "arrays"), [("read", 1), ("write", 1), ("copy", 2), ("triad", 3)]
    )
    def test_bytes_count_all_passes_over_all_arrays(self, op, arrays):
        built = build(
            "copy", op=op, level="l3", device=CachedCpu(l1=1 << 16, l2=1 << 20, l3=1 << 24)
        )
        moved = arrays * ((1 << 23) // arrays // 4) * 4
        passes = -(-(10**9) // moved)
        assert built.work == Work(bytes=passes * moved)
        assert built.declared.choices == {"working_set_mb": "8.4", "passes": str(passes)}
        assert build("copy", op=op).work == Work(bytes=arrays * 10**6)

    def test_step_makes_all_its_passes(self, monkeypatch):
        passes = []
        monkeypatch.setattr(copying, "make_operation", lambda op, arrays: lambda: passes.append(op))
        built = build("copy", op="read", level="l3", device=CachedCpu(l3=1 << 24))
        assert run_step(built) == (None, ["read"])
        assert passes == ["read"] * 120

    def test_operations_compute_their_formulas(self):
        a, b, c = torch.randn(3, 1000)
        expected = a.sum()
        assert copying.make_operation("read", [a])().item() == pytest.approx(
            expected.item(), rel=1e-5
        )
        copying.make_operation("copy", [a, b])()
        assert torch.equal(a, b)
        copying.make_operation("triad", [a, b, c])()
        torch.testing.assert_close(a, b + 3 * c)
        copying.make_operation("write", [a])()
        assert torch.equal(a, torch.full((1000,), 3.0))

    def test_arrays_in_memory_are_four_times_the_last_cache(self):
        assert copying.level_bytes("memory", 3, CachedCpu(l2=1 << 20, l3=1 << 24)) == 1 << 26

    @pytest.mark.parametrize(
        ("level", "sizes", "why"),
        [
            (
                "l2",
                {"l1": 1 << 16, "l2": 1 << 21},
                "half of l2, 1024 KiB, is so small that torch's cost of a call dominates",
            ),
            (
                "l3",
                {"l2": 1 << 27, "l3": 1 << 27},
                "half of l3, 65536 KiB, is no more than the caches below it hold",
            ),
            (
                "l3",
                {"l2": 1 << 27},
                "the size of an l3 cache is not known here; give mb instead of level",
            ),
            ("memory", {}, "the size of any cache is not known here; give mb instead of level"),
        ],
    )
    def test_level_that_cannot_be_measured_is_unsupported(self, level, sizes, why):
        with pytest.raises(Unsupported, match=why):
            build("copy", level=level, device=CachedCpu(**sizes))


class TestTransfer:
    def test_cpu_has_no_transfers(self):
        with pytest.raises(
            Unsupported, match="computes in the host's memory: there is nothing to transfer"
        ):
            build("transfer")

    @pytest.mark.parametrize("direction", ["to_device", "to_host"])
    def test_bytes_cross_once(self, direction, monkeypatch):
        """On a CPU that claims to need transfers: between two arrays of the host."""
        drawn, randn = [], torch.randn

        def draw(*args, **kwargs):
            drawn.append(randn(*args, **kwargs))
            return drawn[-1]

        monkeypatch.setattr(transferring.torch, "randn", draw)
        device = open_device("cpu")
        device.has_transfers = True
        built = build("transfer", "bf16", device, direction=direction)
        host, there = drawn
        before = (host if direction == "to_device" else there).clone()
        assert run_step(built) == (None, [direction])
        assert torch.equal(host, there)
        assert torch.equal(host, before)
        assert built.work == Work(bytes=10**6)

    def test_unpinnable_memory_is_unsupported_with_the_cure(self, monkeypatch):
        def refuse(*args):
            raise RuntimeError("no pinned memory allocator")

        monkeypatch.setattr(torch.Tensor, "pin_memory", refuse)
        device = open_device("cpu")
        device.has_transfers = True
        with pytest.raises(
            Unsupported, match="torch cannot pin memory for it; use memory=pageable"
        ):
            build("transfer", device=device, memory="pinned")


class TestLaunch:
    @pytest.mark.parametrize(("wait", "syncs"), [(False, 0), (True, 1000)])
    def test_step_launches_1000_times_and_waits_if_asked(self, wait, syncs, monkeypatch):
        waited = []
        monkeypatch.setattr(CpuDevice, "synchronize", lambda self: waited.append(1))
        number = torch.ones(1)
        monkeypatch.setattr(torch, "randn", lambda *args, **kwargs: number)
        flips = []
        monkeypatch.setattr(torch.Tensor, "neg_", lambda x: flips.append(x))
        built = build("launch", wait=wait)
        run_step(built)
        assert (len(flips), len(waited)) == (1000, syncs)
        assert flips[0] is number
        assert (built.work, built.declared.choices) == (Work(), {"launches_a_step": "1000"})


class TestAttention:
    def test_forward_counts_two_matmuls_of_causal_pairs(self):
        work = build("attention", "bf16").work
        assert work.flops == work.hardware_flops == 4 * 1 * 2 * 4 * (8 * 9 // 2)
        assert work.flops_full_attention == 4 * 1 * 2 * 4 * 8 * 8
        assert work.bytes == 2 * 4 * (1 * 2 * 8 * 4)  # queries, keys, values, output
        assert work.tokens is None

    def test_backward_counts_twice_forward_and_two_and_a_half_in_hardware(
        self,
    ):
        built = build("attention", "fp32", backward=True)
        forward, backward = built.declared.spans["forward"], built.declared.spans["backward"]
        assert forward == build("attention", "fp32").work
        assert (backward.flops, backward.hardware_flops) == (2 * forward.flops, 2.5 * forward.flops)
        assert backward.flops_full_attention == 2 * forward.flops_full_attention
        assert backward.bytes == 2 * forward.bytes
        assert built.work.flops == 3 * forward.flops
        assert built.work.hardware_flops == 3.5 * forward.flops
        assert run_step(built) == (None, ["forward", "backward"])

    def test_shared_keys_need_fewer_bytes_but_the_same_flops(self):
        shared = build("attention", "fp32", heads=8, kv_heads=2)
        own = build("attention", "fp32", heads=8)
        assert shared.work.flops == own.work.flops
        assert shared.work.bytes == 2 * 4 * 8 * 4 * (8 + 2)
        assert own.work.bytes == 2 * 4 * 8 * 4 * (8 + 8)
        assert run_step(shared)[0].shape == (1, 8, 8, 4)

    def test_uneven_sharing_of_heads_is_unsupported(self):
        with pytest.raises(
            Unsupported, match="16 heads cannot share 3 heads of keys and values evenly"
        ):
            build("attention", heads=16, kv_heads=3)

    def test_attention_is_causal_and_records_its_kernel(self, monkeypatch):
        given = {}

        def attend(q, k, v, **how):
            given.update(how, q=q)
            return scaled_dot_product_attention(q, k, v, **how)

        monkeypatch.setattr("workloads.attention.scaled_dot_product_attention", attend)
        built = build("attention", "fp32")
        out = run_step(built)[0]
        assert given["is_causal"]
        assert out.shape == given["q"].shape
        assert built.declared.choices["attention"] == "flash"
