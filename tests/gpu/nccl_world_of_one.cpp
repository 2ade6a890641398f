// NCCL itself, on one GPU: a world of one rank. Every operation of every element type, launched and
// captured and replayed with other rows, over two communicators; an agreement; leaving, and an
// abort while a graph is alive. A sum over one rank is the rank's own rows, so that bits are
// compared.
//
// Run: build/gpu/bin/gpu_nccl. Exit status: 0 all is right, 1 something is not, 77 there is no
// device or no NCCL here (skipped). CAPSIZE_NCCL_LIBRARY names another library.
#include <cuda_runtime.h>
#include <stdlib.h>  // mkdtemp
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/nccl/collectives.hpp"
#include "runtime/nccl/communicators.hpp"
#include "sim/lifecycle.hpp"

#ifdef CAPSIZE_HAS_NCCL
#include <nccl.h>

#include <type_traits>

// Our names for NCCL's numbers and layouts.
namespace capsize {

constexpr bool is(NcclStatus ours, ncclResult_t theirs) { return int(ours) == int(theirs); }
constexpr bool is(NcclType ours, ncclDataType_t theirs) { return int(ours) == int(theirs); }
constexpr bool is(NcclReduction ours, ncclRedOp_t theirs) { return int(ours) == int(theirs); }

static_assert(is(NcclStatus::success, ncclSuccess));
static_assert(is(NcclStatus::unhandled_cuda_error, ncclUnhandledCudaError));
static_assert(is(NcclStatus::system_error, ncclSystemError));
static_assert(is(NcclStatus::internal_error, ncclInternalError));
static_assert(is(NcclStatus::invalid_argument, ncclInvalidArgument));
static_assert(is(NcclStatus::invalid_usage, ncclInvalidUsage));
static_assert(is(NcclStatus::remote_error, ncclRemoteError));
static_assert(is(NcclStatus::in_progress, ncclInProgress));
static_assert(is(NcclType::uint32, ncclUint32));
static_assert(is(NcclType::fp16, ncclFloat16) && is(NcclType::fp32, ncclFloat32));
static_assert(is(NcclType::bf16, ncclBfloat16));
static_assert(is(NcclReduction::sum, ncclSum) && is(NcclReduction::max, ncclMax));
static_assert(sizeof(NcclStatus) == sizeof(ncclResult_t));
static_assert(sizeof(NcclType) == sizeof(ncclDataType_t));
static_assert(sizeof(NcclUniqueId) == sizeof(ncclUniqueId) && alignof(NcclUniqueId) == 1);
static_assert(kNcclNoColor == NCCL_SPLIT_NOCOLOR &&
              NcclConfig::kLeftToNccl == NCCL_CONFIG_UNDEF_INT);
static_assert(offsetof(NcclConfig, size) == offsetof(ncclConfig_t, size));
static_assert(offsetof(NcclConfig, magic) == offsetof(ncclConfig_t, magic));
static_assert(offsetof(NcclConfig, version) == offsetof(ncclConfig_t, version));
static_assert(offsetof(NcclConfig, blocking) == offsetof(ncclConfig_t, blocking));
static_assert(offsetof(NcclConfig, cga_cluster_size) == offsetof(ncclConfig_t, cgaClusterSize));
static_assert(offsetof(NcclConfig, ctas_min) == offsetof(ncclConfig_t, minCTAs));
static_assert(offsetof(NcclConfig, ctas_max) == offsetof(ncclConfig_t, maxCTAs));
static_assert(offsetof(NcclConfig, net_name) == offsetof(ncclConfig_t, netName));
static_assert(offsetof(NcclConfig, split_share) == offsetof(ncclConfig_t, splitShare));
static_assert(sizeof(NcclConfig) <= sizeof(ncclConfig_t));
static_assert(std::is_trivially_copyable_v<NcclUniqueId>);

// A function of the table takes what NCCL's takes: as many arguments, each as wide.
template <class Ours, class Theirs>
constexpr bool kAlike = false;
template <class OurResult, class... Ours, class TheirResult, class... Theirs>
constexpr bool kAlike<OurResult (*)(Ours...), TheirResult (*)(Theirs...)> =
    sizeof...(Ours) == sizeof...(Theirs) && ((sizeof(Ours) == sizeof(Theirs)) && ...) &&
    ((std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>)&&...);
static_assert(kAlike<decltype(NcclCalls::init_rank_config), decltype(&ncclCommInitRankConfig)>);
static_assert(kAlike<decltype(NcclCalls::async_error), decltype(&ncclCommGetAsyncError)>);
static_assert(kAlike<decltype(NcclCalls::all_reduce), decltype(&ncclAllReduce)>);
static_assert(kAlike<decltype(NcclCalls::reduce_scatter), decltype(&ncclReduceScatter)>);
static_assert(kAlike<decltype(NcclCalls::all_gather), decltype(&ncclAllGather)>);
static_assert(kAlike<decltype(NcclCalls::reduce), decltype(&ncclReduce)>);
static_assert(kAlike<decltype(NcclCalls::broadcast), decltype(&ncclBroadcast)>);
static_assert(kAlike<decltype(NcclCalls::send), decltype(&ncclSend)>);
static_assert(kAlike<decltype(NcclCalls::receive), decltype(&ncclRecv)>);
static_assert(kAlike<decltype(NcclCalls::split), decltype(&ncclCommSplit)>);
static_assert(kAlike<decltype(NcclCalls::revoke), decltype(&ncclCommRevoke)>);

}  // namespace capsize
#endif

namespace capsize {
namespace {

constexpr int kSkipped = 77;
constexpr std::int64_t kRows = 37;
constexpr std::int64_t kColumns = 129;  // rows that begin nowhere in particular
constexpr std::size_t kBytes = kRows * kColumns * 4;

int failures = 0;

bool check(bool right, const std::string& what) {
  if (!right) {
    std::printf("failed: %s\n", what.c_str());
    ++failures;
  }
  return right;
}
bool check(cudaError_t status, const std::string& what) {
  return check(status == cudaSuccess, what + ": " + cudaGetErrorString(status));
}
bool check(const Result<void>& result, const std::string& what) {
  return check(result.has_value(), what + (result ? "" : ": " + result.error().text));
}

// Two groups of the one rank that there is.
Lifecycle plan_of_one() {
  Lifecycle out{.world = 1};
  out.families = {{.name = "tp", .groups = {{0}}}, {.name = "again", .groups = {{0}}}};
  index_groups(out);
  return out;
}

// Operations of one rank that need no other.
constexpr std::array kKinds = {PlanOpKind::reduce_scatter, PlanOpKind::all_gather,
                               PlanOpKind::all_reduce,     PlanOpKind::all_to_all,
                               PlanOpKind::broadcast,      PlanOpKind::barrier};

class WorldOfOne {
 public:
  WorldOfOne(const NcclLibrary& library, const std::string& folder, cudaStream_t stream)
      : library_(library),
        communicators_(library, {.rank = 0, .folder = folder}),
        plan_(plan_of_one()),
        stream_(stream) {}

  bool begin() {
    return check(cudaMalloc(&in_, kBytes), "cudaMalloc") &&
           check(cudaMalloc(&out_, kBytes), "cudaMalloc") &&
           check(cudaMalloc(&meeting_, 64), "cudaMalloc") &&
           check(cudaMemset(meeting_, 0, 64), "cudaMemset") &&
           check(communicators_.join(plan_), "communicators");
  }

  // Warm-up, eager, capture and two replays of one operation; with sizes where it has them.
  void run(PlanOpKind kind, ElementType type, bool sized) {
    const std::string what = std::string(name_of(kind)) + (sized ? " of sizes" : "") + " of " +
                             std::string(capsize::name_of(type));
    if (!check(launch(kind, type, sized), what)) return;
    compare(
        kind, type, 1, [&] { return launch(kind, type, sized); }, what + ", eager");
    cudaGraphExec_t replayed = capture([&] { return launch(kind, type, sized); }, what);
    if (replayed == nullptr) return;
    for (const unsigned seed : {2U, 3U}) {
      compare(
          kind, type, seed, [&] { return cudaGraphLaunch(replayed, stream_) == cudaSuccess; },
          what + ", replayed");
    }
    check(cudaGraphExecDestroy(replayed), "graph destruction");
  }

  void agree() {
    const std::array<std::uint32_t, 3> values = {7, 0, ~0U};
    std::array<std::uint32_t, 3> back{};
    check(cudaMemcpy(in_, values.data(), sizeof values, cudaMemcpyHostToDevice), "copy");
    check(largest(library_, static_cast<std::uint32_t*>(in_), values.size(), communicators_.world(),
                  stream()),
          "largest");
    check(cudaStreamSynchronize(stream_), "wait");
    check(cudaMemcpy(back.data(), in_, sizeof back, cudaMemcpyDeviceToHost), "copy");
    check(back == values, "the largest of one rank's values is not the rank's own");
  }

  void leave() { check(communicators_.leave(), "leaving"); }

  // An abort beside a graph that is alive: it ends when the graph is gone, on another thread.
  void abort() {
    if (!check(communicators_.join(plan_), "communicators")) return;
    if (!check(launch(PlanOpKind::all_reduce, ElementType::fp32, false), "warm-up")) return;
    cudaGraphExec_t alive =
        capture([&] { return launch(PlanOpKind::all_reduce, ElementType::fp32, false); }, "abort");
    check(communicators_.abort([&] { check(cudaGraphExecDestroy(alive), "graph destruction"); }),
          "abort");
  }

 private:
  // A cudaStream_t is a pointer to what nobody outside of the device runtime knows.
  [[nodiscard]] DeviceStream* stream() const { return reinterpret_cast<DeviceStream*>(stream_); }

  // Over both communicators, one behind the other, so that a graph holds two.
  bool launch(PlanOpKind kind, ElementType type, bool sized) {
    const std::vector<std::int64_t> sizes = {kRows};
    for (std::int8_t family = 0; family < 2; ++family) {
      const Arrival arrival{.communicator = {{family}, 0, plan_.families[0].groups[0]},
                            .kind = kind,
                            .sizes = sized ? std::span(sizes) : std::span<const std::int64_t>(),
                            .in = {static_cast<std::byte*>(in_), kRows, kColumns, type},
                            .out = {static_cast<std::byte*>(out_), kRows, kColumns, type}};
      const auto call = library_call_of(arrival);
      if (!check(call.has_value(), "no such call")) return false;
      const Arrived arrived = issue(library_, *call,
                                    {.in = arrival.in.data,
                                     .out = arrival.out.data,
                                     .meeting = static_cast<std::byte*>(meeting_)},
                                    communicators_.of(arrival), stream());
      if (!check(arrived.state == Arrived::State::done, arrived.text)) return false;
    }
    return true;
  }

  template <class Body>
  cudaGraphExec_t capture(const Body& body, const std::string& what) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t out = nullptr;
    check(cudaStreamSynchronize(stream_), what);
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), what + ": capture");
    const bool captured = body();
    check(cudaStreamEndCapture(stream_, &graph), what + ": end of the capture");
    if (!captured || graph == nullptr) return nullptr;
    check(cudaGraphInstantiate(&out, graph, 0), what + ": instantiation");
    check(cudaGraphDestroy(graph), what + ": graph destruction");
    return out;
  }

  template <class Body>
  void compare(PlanOpKind kind, ElementType type, unsigned seed, const Body& body,
               const std::string& what) {
    std::vector<std::byte> rows(kBytes);
    std::vector<std::byte> found(kBytes);
    for (std::size_t i = 0; i < kBytes / bytes_of(type); ++i) {
      store(type, rows.data() + i * bytes_of(type), static_cast<std::int32_t>((i * seed) % 101));
    }
    check(cudaMemcpy(in_, rows.data(), kBytes, cudaMemcpyHostToDevice), what);
    check(cudaMemset(out_, 0xff, kBytes), what);
    check(cudaDeviceSynchronize(), what);
    check(body(), what);
    check(cudaStreamSynchronize(stream_), what);
    check(cudaMemcpy(found.data(), out_, kBytes, cudaMemcpyDeviceToHost), what);
    if (kind == PlanOpKind::barrier) return;  // it moves none
    const std::size_t bytes = kRows * kColumns * bytes_of(type);
    check(std::memcmp(rows.data(), found.data(), bytes) == 0, what + ": other rows");
    const bool outside =
        std::any_of(found.begin() + static_cast<std::ptrdiff_t>(bytes), found.end(),
                    [](std::byte each) { return each != std::byte{0xff}; });
    check(!outside, what + ": it wrote behind its output");
    ++compared_;
  }

 public:
  [[nodiscard]] int compared() const { return compared_; }

 private:
  const NcclLibrary& library_;
  NcclCommunicators communicators_;
  Lifecycle plan_;
  cudaStream_t stream_;
  void* in_ = nullptr;
  void* out_ = nullptr;
  void* meeting_ = nullptr;
  int compared_ = 0;
};

int run_on_device(const NcclLibrary& library, const std::string& folder) {
  cudaStream_t stream = nullptr;
  if (!check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream")) return 1;
  WorldOfOne world(library, folder, stream);
  if (!world.begin()) return 1;
  for (const ElementType type :
       {ElementType::bf16, ElementType::fp16, ElementType::fp32, ElementType::uint32}) {
    for (const PlanOpKind kind : kKinds) world.run(kind, type, false);
    world.run(PlanOpKind::reduce_scatter, type, true);
    world.run(PlanOpKind::all_gather, type, true);
  }
  world.agree();
  world.leave();
  world.abort();
  std::printf("%s: nccl %s, a world of one: %d comparisons, %d failures\n",
              failures == 0 ? "passed" : "failed", nccl_version_text(library.version()).c_str(),
              world.compared(), failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace capsize

int main() {
  using namespace capsize;
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no usable CUDA device\n");
    return kSkipped;
  }
  const auto library = NcclLibrary::open();
  if (!library) {
    std::printf("skipped: %s (%s)\n", library.error().text.c_str(), library.error().hint.c_str());
    return kSkipped;
  }
  std::string folder = (std::filesystem::temp_directory_path() / "capsize-nccl.XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const int status = run_on_device(*library, folder);
  std::filesystem::remove_all(folder);
  return status;
}
