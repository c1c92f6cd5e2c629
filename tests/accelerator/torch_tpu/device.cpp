// An asynchronous torch backend whose device is one thread of the host: launches return at once, work runs in the order
// of one queue, events are stamped by that thread. Enough of PrivateUse1 for torch.accelerator, autocast and our models.
//
// TOY_TPU_BYTES is its memory (16 GiB). TOY_TPU_FAULTS lists what it does wrong, by commas:
//   no_statistics    the allocator is no DeviceAllocator, so that nothing counts memory
//   no_events        an event cannot be recorded
//   fast_clock       events tell a time 1.5 times as fast as the host's
//   rounded_fp32     products of fp32 are computed in bf16
// What it can only do in the midst of a step is launched: torch.ops.toy_tpu.sleep, jump and die.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace {
constexpr auto KEY = c10::DispatchKey::PrivateUse1;
constexpr auto KIND = c10::DeviceType::PrivateUse1;
using Clock = std::chrono::steady_clock;

bool has_fault(const char* name) {
  const char* listed = getenv("TOY_TPU_FAULTS");
  return listed && ("," + std::string(listed) + ",").find("," + std::string(name) + ",") != std::string::npos;
}

// ---- the queue: one thread that runs what is submitted, in order

struct Queue {
  std::mutex lock;
  std::condition_variable wake;
  std::deque<std::function<void()>> work;
  bool is_busy = false;
  std::exception_ptr failed;
  std::atomic<bool> is_lost{false};

  Queue() { std::thread([this] { run(); }).detach(); }

  void run() {
    at::AutoDispatchBelowADInplaceOrView below;
    for (;;) {
      std::function<void()> next;
      {
        std::unique_lock<std::mutex> hold(lock);
        wake.wait(hold, [&] { return !work.empty(); });
        next = std::move(work.front());
        work.pop_front();
        is_busy = true;
      }
      try {
        if (!is_lost) next();
      } catch (...) {
        std::lock_guard<std::mutex> hold(lock);
        failed = std::current_exception();
      }
      next = nullptr;  // tensors that it held die before the queue counts as idle
      std::lock_guard<std::mutex> hold(lock);
      is_busy = false;
    }
  }

  void require_device() { TORCH_CHECK(!is_lost, "TPU error: the device is lost"); }

  void submit(std::function<void()> next) {
    require_device();
    {
      std::lock_guard<std::mutex> hold(lock);
      work.push_back(std::move(next));
    }
    wake.notify_one();
  }

  void drain() {  // spins, as CUDA's does
    while (!is_empty()) std::this_thread::yield();
    std::lock_guard<std::mutex> hold(lock);
    if (failed) std::rethrow_exception(std::exchange(failed, nullptr));  // asynchronous errors come late, as CUDA's do
    require_device();
  }

  bool is_empty() {
    std::lock_guard<std::mutex> hold(lock);
    return work.empty() && !is_busy;
  }
};

Queue& queue() {
  static auto* only = new Queue;  // never destroyed: its thread outlives main
  return *only;
}

// ---- memory: counted, with a limit

std::atomic<int64_t> held{0}, peak{0};

int64_t limit_bytes() {
  static int64_t bytes = [] {
    const char* given = getenv("TOY_TPU_BYTES");
    return given ? atoll(given) : int64_t(16) << 30;
  }();
  return bytes;
}

// Memory counts as free once no tensor of the host has it, as with CUDA's allocator: the queue runs in order, so what is
// still to use it comes before what gets it next. Here the queue's work keeps the memory itself until it has run.
struct Block {
  std::shared_ptr<void> memory;
  int64_t bytes;
};

void release(void* context) {
  auto* block = static_cast<Block*>(context);
  held -= block->bytes;
  delete block;
}

c10::DataPtr take(size_t wanted) {
  void* at = nullptr;
  int64_t bytes = (int64_t(wanted) + 511) / 512 * 512;
  TORCH_CHECK_WITH(OutOfMemoryError, held + bytes <= limit_bytes(), "TPU out of memory. Tried to allocate ", bytes, " bytes.");
  TORCH_CHECK_WITH(OutOfMemoryError, !bytes || !posix_memalign(&at, 64, bytes), "TPU out of memory");
  int64_t now = held += bytes, before = peak;
  while (now > before && !peak.compare_exchange_weak(before, now)) {}
  return {at, new Block{std::shared_ptr<void>(at, &free), bytes}, &release, c10::Device(KIND, 0)};
}

struct CountingAllocator final : c10::DeviceAllocator {
  c10::DataPtr allocate(size_t bytes) override { return take(bytes); }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { memcpy(to, from, bytes); }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t = {0, 0}) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.allocated_bytes[0].current = held;
    stats.allocated_bytes[0].peak = peak;
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override { peak = held.load(); }
};

struct PlainAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override { return take(bytes); }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { memcpy(to, from, bytes); }
};

c10::Allocator* allocator() {
  static c10::Allocator* only = has_fault("no_statistics") ? static_cast<c10::Allocator*>(new PlainAllocator) : new CountingAllocator;
  return only;
}

std::mutex pinning;
std::set<const void*> pinned;

struct PinningAllocator final : c10::Allocator {  // the host's memory, which copies need not wait for
  static void unpin(void* at) {
    {
      std::lock_guard<std::mutex> hold(pinning);
      pinned.erase(at);
    }
    free(at);
  }
  c10::DataPtr allocate(size_t bytes) override {
    void* at = nullptr;
    TORCH_CHECK(!posix_memalign(&at, 64, bytes ? bytes : 1), "cannot pin memory");
    std::lock_guard<std::mutex> hold(pinning);
    pinned.insert(at);
    return {at, at, &unpin, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &unpin; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { memcpy(to, from, bytes); }
};

bool is_pinned(const void* at) {
  std::lock_guard<std::mutex> hold(pinning);
  return pinned.count(at) > 0;
}

// ---- streams and events

std::atomic<int64_t> jumped_ns{0};

Clock::time_point device_time() {
  static const auto begin = Clock::now();
  static const bool is_fast = has_fault("fast_clock");
  auto passed = Clock::now() - begin;
  return begin + (is_fast ? passed * 3 / 2 : passed) + std::chrono::nanoseconds(jumped_ns);
}

struct Stamp {
  std::atomic<bool> is_done{false};
  Clock::time_point at;
};
using Event = std::shared_ptr<Stamp>;  // an event is a pointer to one of these; recorded again it gets a new one

std::atomic<int64_t> events_made{0};

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return KIND; }
  c10::Device exchangeDevice(c10::Device) const override { return {KIND, 0}; }
  c10::Device getDevice() const override { return {KIND, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, c10::Device(KIND, 0)); }
  c10::Stream getDefaultStream(c10::Device device) const override { return getStream(device); }
  c10::Stream getNewStream(c10::Device device, int) const override { return getStream(device); }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override { return getStream(device); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  bool queryStream(const c10::Stream&) const override { return queue().is_empty(); }
  void synchronizeStream(const c10::Stream&) const override { queue().drain(); }
  void synchronizeDevice(c10::DeviceIndex) const override { queue().drain(); }
  void record(void** event, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {
    TORCH_CHECK(!has_fault("no_events"), "the TPU has no events");
    if (!*event) ++events_made;
    delete static_cast<Event*>(*event);
    auto stamp = std::make_shared<Stamp>();
    *event = new Event(stamp);
    queue().submit([stamp] {
      stamp->at = device_time();
      stamp->is_done = true;
    });
  }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override { delete static_cast<Event*>(event); }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void* event) const override {
    queue().require_device();
    if (!event) return true;
    return (*static_cast<Event*>(event))->is_done;
  }
  void synchronizeEvent(void* event) const override {
    if (!event) return;
    while (!queryEvent(event)) std::this_thread::yield();  // spins, as CUDA's does
  }
  double elapsedTime(void* from, void* to, c10::DeviceIndex) const override {
    TORCH_CHECK(from && to && queryEvent(from) && queryEvent(to), "both events must be recorded and have ended");
    auto passed = (*static_cast<Event*>(to))->at - (*static_cast<Event*>(from))->at;
    return std::chrono::duration<double, std::milli>(passed).count();
  }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::detail::createCPUGenerator(); }
  at::Allocator* getPinnedMemoryAllocator() const override {
    static auto* only = new PinningAllocator;
    return only;
  }
  bool isPinnedPtr(const void* at) const override { return is_pinned(at); }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    queue().drain();
    auto fresh = allocator()->allocate(bytes);
    memcpy(fresh.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(fresh));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
};

std::shared_ptr<void> memory_of(const at::Tensor& t) {
  if (t.device().type() == KIND) {
    auto* block = static_cast<Block*>(t.storage().data_ptr().get_context());
    return block ? block->memory : nullptr;
  }
  auto* storage = new c10::Storage(t.storage());  // the host's
  return {storage, [](void* held) { delete static_cast<c10::Storage*>(held); }};
}

// ---- operators: shapes are found on the meta device at once, the CPU's kernel runs in the queue

struct Held {  // what a tensor is, without the tensor: its Python object must not die in the queue's thread
  std::shared_ptr<void> memory;
  void* at;
  std::vector<int64_t> sizes, strides;
  c10::ScalarType dtype;
  explicit Held(const at::Tensor& t)
      : memory(memory_of(t)), at(t.data_ptr()), sizes(t.sizes().vec()), strides(t.strides().vec()), dtype(t.scalar_type()) {}
  at::Tensor on_cpu() const { return at::from_blob(at, sizes, strides, at::TensorOptions().dtype(dtype)); }
};

bool is_here(const at::Tensor& t) { return t.defined() && t.device().type() == KIND; }

at::Tensor meta_of(const at::Tensor& t) {
  if (!is_here(t)) return t;
  auto made = at::empty_strided(t.sizes(), t.strides(), t.options().device(at::kMeta));
  if (t.unsafeGetTensorImpl()->is_wrapped_number()) made.unsafeGetTensorImpl()->set_wrapped_number(true);
  return made;
}

at::Tensor empty_like_meta(const at::Tensor& meta) {
  return at::detail::empty_strided_generic(meta.sizes(), meta.strides(), allocator(), c10::DispatchKeySet(KEY), meta.scalar_type());
}

using Swap = std::function<at::Tensor(const at::Tensor&)>;

c10::IValue swapped(const c10::IValue& value, const Swap& swap) {
  if (value.isTensor()) return swap(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& t : value.toTensorVector()) list.push_back(swap(t));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (std::optional<at::Tensor> t : value.toOptionalTensorVector()) list.push_back(t ? std::optional(swap(*t)) : t);
    return list;
  }
  return value;
}

at::Tensor rounded(const at::Tensor& t) {
  return t.defined() && t.scalar_type() == at::kFloat ? t.to(at::kBFloat16).to(at::kFloat) : t;
}

// An out= argument goes in without elements, as whatever size an operator gives it: some resize it twice on the way.
bool is_out(const c10::Argument& argument) { return argument.is_out() && argument.type()->kind() == c10::TypeKind::TensorType; }

at::Tensor without_elements(const at::Tensor& t, c10::Device device) { return at::empty({0}, at::TensorOptions().dtype(t.scalar_type()).device(device)); }

// Gives what an out= argument names its size. False if the operator has no meta kernel.
bool find_shapes(const c10::OperatorHandle& op, const std::vector<c10::IValue>& arguments, torch::jit::Stack& meta) {
  const auto& schema = op.schema();
  for (const auto& argument : arguments)
    if (argument.isDevice()) return false;
  for (const auto& returned : schema.returns())
    if (returned.type()->kind() != c10::TypeKind::TensorType || (returned.alias_info() && !returned.alias_info()->isWrite())) return false;
  try {
    for (size_t i = 0; i < arguments.size(); ++i) {
      const bool grows = is_out(schema.arguments()[i]) && is_here(arguments[i].toTensor());
      meta.push_back(grows ? c10::IValue(without_elements(arguments[i].toTensor(), at::kMeta)) : swapped(arguments[i], meta_of));
    }
    auto inputs = meta;
    c10::impl::ExcludeDispatchKeyGuard below(c10::autograd_dispatch_keyset_with_ADInplaceOrView);
    op.callBoxed(&meta);
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (!is_out(schema.arguments()[i]) || !is_here(arguments[i].toTensor())) continue;
      if (inputs[i].toTensor().sizes() != arguments[i].toTensor().sizes())
        at::native::resize_(arguments[i].toTensor(), inputs[i].toTensor().sizes(), std::nullopt);
    }
  } catch (const c10::Error&) {
    return false;
  }
  return true;
}

void launch(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  queue().require_device();
  const auto& schema = op.schema();
  const size_t count = schema.arguments().size();
  auto arguments = torch::jit::last(*stack, count).vec();
  torch::jit::Stack meta;
  if (!find_shapes(op, arguments, meta)) {
    queue().drain();
    at::native::cpu_fallback(op, stack);
    return;
  }
  std::vector<c10::IValue> outputs;
  std::vector<std::optional<Held>> fresh;
  for (size_t i = 0; i < schema.returns().size(); ++i) {
    const auto* alias = schema.returns()[i].alias_info();
    fresh.emplace_back();
    if (alias) {
      for (size_t j = 0; j < count; ++j) {
        const auto* of = schema.arguments()[j].alias_info();
        if (of && of->beforeSets() == alias->beforeSets()) {
          outputs.push_back(arguments[j]);
          break;
        }
      }
    } else if (!meta[i].toTensor().defined()) {
      outputs.push_back(at::Tensor());
    } else {
      auto made = empty_like_meta(meta[i].toTensor());
      fresh.back() = Held(made);
      outputs.push_back(made);
    }
  }
  // Tensors of the device travel as Held, and are put back in the queue's thread, in order.
  std::vector<std::vector<Held>> tensors(count);
  std::vector<std::vector<bool>> is_ours(count);
  std::vector<c10::IValue> kept;
  for (size_t i = 0; i < count; ++i)
    kept.push_back(swapped(arguments[i], [&](const at::Tensor& t) {
      is_ours[i].push_back(is_here(t));
      if (!is_here(t)) return t.defined() && t.device().is_cpu() ? t.detach() : t;
      tensors[i].emplace_back(t);
      return at::Tensor();
    }));
  static const bool rounds = has_fault("rounded_fp32");
  const bool is_rounded = rounds && (schema.name() == "aten::mm" || schema.name() == "aten::bmm" || schema.name() == "aten::addmm");
  queue().submit([op, kept, tensors, is_ours, fresh, is_rounded]() {
    torch::jit::Stack run;
    std::vector<std::pair<at::Tensor, at::Tensor>> written;
    for (size_t i = 0; i < kept.size(); ++i) {
      if (is_out(op.schema().arguments()[i]) && is_ours[i][0]) {
        auto to = tensors[i][0].on_cpu();
        written.emplace_back(to, without_elements(to, at::kCPU));
        run.push_back(written.back().second);
        continue;
      }
      size_t which = 0, next = 0;
      run.push_back(swapped(kept[i], [&](const at::Tensor& t) {
        auto given = is_ours[i][which++] ? tensors[i][next++].on_cpu() : t;
        return is_rounded && !op.schema().arguments()[i].alias_info() ? rounded(given) : given;
      }));
    }
    op.callBoxed(&run);
    for (auto& [to, from] : written) to.copy_(from);
    for (size_t i = 0; i < fresh.size(); ++i)
      if (fresh[i]) fresh[i]->on_cpu().copy_(run[i].toTensor());
  });
  torch::jit::drop(*stack, count);
  for (auto& output : outputs) stack->push_back(output);
}

at::Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> dtype, std::optional<c10::Layout>,
                 std::optional<c10::Device>, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  queue().require_device();
  return at::detail::empty_generic(size, allocator(), c10::DispatchKeySet(KEY), c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<c10::ScalarType> dtype,
                         std::optional<c10::Layout>, std::optional<c10::Device>, std::optional<bool>) {
  queue().require_device();
  return at::detail::empty_strided_generic(size, stride, allocator(), c10::DispatchKeySet(KEY), c10::dtype_or_default(dtype));
}

at::Tensor copy_from(const at::Tensor& self, const at::Tensor& dst, bool non_blocking) {
  const auto& host = is_here(self) ? dst : self;
  const bool is_queued = (is_here(self) && is_here(dst)) || (non_blocking && is_pinned(host.storage().data()));
  if (is_queued) {
    Held from(self), to(dst);
    queue().submit([from, to] { to.on_cpu().copy_(from.on_cpu()); });
    return dst;
  }
  queue().drain();
  if (is_here(self)) {
    auto written = dst;
    written.copy_(Held(self).on_cpu());
  } else {
    Held(dst).on_cpu().copy_(self);
  }
  return dst;
}

at::Tensor copy_from_and_resize(const at::Tensor& self, const at::Tensor& dst) {
  at::native::resize_(dst, self.sizes(), std::nullopt);
  return copy_from(self, dst, false);
}

at::Scalar local_scalar(const at::Tensor& self) {
  queue().drain();
  return Held(self).on_cpu().item();
}

at::Tensor as_strided(const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<c10::SymInt> offset) {
  auto from = offset ? std::optional<int64_t>(offset->guard_int(__FILE__, __LINE__)) : std::nullopt;
  return at::native::as_strided_tensorimpl(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), from);
}

at::Tensor view(const at::Tensor& self, c10::SymIntArrayRef size) { return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size)); }

at::Tensor reshape_alias(const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  return at::native::_reshape_alias(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

const at::Tensor& resize_(const at::Tensor& self, c10::SymIntArrayRef size, std::optional<c10::MemoryFormat> format) {
  return at::native::resize_(self, C10_AS_INTARRAYREF_SLOW(size), format);
}

at::Tensor& set_source_storage(at::Tensor& self, at::Storage source) { return at::native::set_(self, source); }

at::Tensor missing(const at::Tensor& self) {
  TORCH_CHECK_NOT_IMPLEMENTED(
      false, "Could not run 'aten::erfinv' with arguments from the 'tpu' backend. This could be because the operator doesn't exist for this backend.");
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("as_strided", as_strided);
  m.impl("view", view);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("resize_", resize_);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", local_scalar);
  m.impl("set_.source_Storage", set_source_storage);
  m.impl("erfinv", missing);  // an operator that this device lacks
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&launch>()); }

// ---- autocast: products in the lower precision, sums that need it in fp32, as on other accelerators

#define LOWER(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
#define WIDE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
#define WIDE_BY_DEFAULT(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32_set_opt_dtype)
#define WIDEST(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, promote)
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
  AT_FORALL_LOWER_PRECISION_FP(LOWER)
  AT_FORALL_FP32(WIDE)
  AT_FORALL_FP32_SET_OPT_DTYPE(WIDE_BY_DEFAULT)
  AT_FORALL_PROMOTE(WIDEST)
}

// ---- what only tests launch: torch.ops.toy_tpu

void sleep(double seconds) {
  queue().submit([seconds] { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); });
}

void jump(double seconds) {
  queue().submit([seconds] { jumped_ns += int64_t(seconds * 1e9); });
}

void die() {
  queue().submit([] { queue().is_lost = true; });
}

TORCH_LIBRARY(toy_tpu, m) {
  m.def("sleep(float seconds) -> ()", &sleep);
  m.def("jump(float seconds) -> ()", &jump);
  m.def("die() -> ()", &die);
  m.def("events_made() -> int", [] { return int64_t(events_made); });
}

struct Register {
  Register() {
    c10::SetAllocator(KIND, allocator(), 1);
    static auto* hooks = new Hooks;
    at::RegisterPrivateUse1HooksInterface(hooks);
  }
} registered;
}  // namespace
