// How fast a GPU's kernels and graphs are, as fractions of what the same run measures beside them.
// Run: build/gpu/bin/gpu_bench [--json FILE]. Exit status 77 where there is no device, 1 where a
// launch fails. Times are of CUDA events (kernels) or the host's clock (graphs): medians of
// interleaved samples; `noise` is the middle half's width as a part of the median.
//
//   reduce_scatter, all_gather   8 ranks, bf16, beside the faster of two copy kernels with the same
//                                bytes and the same mix of reads and writes
//   generate, verify             beside cudaMemset, and the faster of two kernels that only read
//
// Buffers: "same", every launch has the same ones, so that small sizes lie in the second cache for
// both; "rotating", launches go round buffers of more than 512 MiB together.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>

#include "kernels/cuda_device.hpp"
#include "kernels/graph_nodes.hpp"

namespace capsize::gpu_bench {
namespace {

constexpr std::int64_t kRanks = 8;
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::int64_t kColumns = 2048;
constexpr int kSamples = 15;
constexpr std::uint32_t kBlock = 256;

bool failed = false;
void need(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  std::printf("# failed: %s: %s\n", what, cudaGetErrorString(status));
  failed = true;
}

// What the kernels are held against: they move bytes and compute nothing. `apart`: a thread's reads
// (writes) lie a whole operand apart, as those of a collective do, else a block's width.
__device__ uint4 folded(const uint4& a, const uint4& b) {
  return make_uint4(a.x ^ b.x, a.y ^ b.y, a.z ^ b.z, a.w ^ b.w);
}
template <int kReads, int kWrites, bool kApart>
__global__ void __launch_bounds__(kBlock)
    copy_mix(const uint4* from, uint4* to, std::uint64_t each) {
  const std::uint64_t at = std::uint64_t{blockIdx.x} * kBlock + threadIdx.x;
  const auto place = [&](int i, int of) {
    if (kApart) return at + static_cast<std::uint64_t>(i) * each;
    return (std::uint64_t{blockIdx.x} * of + i) * kBlock + threadIdx.x;
  };
  if (at >= each) return;
  uint4 loaded[kReads];
#pragma unroll
  for (int i = 0; i < kReads; ++i) loaded[i] = from[place(i, kReads)];
#pragma unroll
  for (int i = 1; i < kReads; ++i) loaded[0] = folded(loaded[0], loaded[i]);
#pragma unroll
  for (int i = 0; i < kWrites; ++i) to[place(i, kWrites)] = loaded[0];
}
// The condition is one that no data meet, and no compiler knows.
template <int kReads>
__global__ void __launch_bounds__(kBlock) read_only(const uint4* from, uint4* to, uint4 never) {
  uint4 loaded[kReads];
#pragma unroll
  for (int i = 0; i < kReads; ++i) {
    loaded[i] = from[(std::uint64_t{blockIdx.x} * kReads + i) * kBlock + threadIdx.x];
  }
#pragma unroll
  for (int i = 1; i < kReads; ++i) loaded[0] = folded(loaded[0], loaded[i]);
  if (loaded[0].x == never.x && loaded[0].y == never.y && loaded[0].z == never.z) *to = loaded[0];
}

struct Measured {
  double microseconds = 0;
  double noise = 0;
};
Measured measured(std::vector<double> samples) {
  std::ranges::sort(samples);
  const std::size_t n = samples.size();
  const double median = samples[n / 2];
  return {median, (samples[3 * n / 4] - samples[n / 4]) / median};
}

using Work = std::function<void(cudaStream_t, std::size_t turn)>;

// Runs of a number of launches, in one launch mode; a sample is the time of one launch.
class Runner {
 public:
  Runner(cudaStream_t stream, Work work, int launches, bool graph)
      : stream_(stream), work_(std::move(work)), launches_(launches) {
    need(cudaEventCreate(&begin_), "event");
    need(cudaEventCreate(&end_), "event");
    issue();  // loads the kernels
    need(cudaStreamSynchronize(stream_), "warm-up");
    if (!graph) return;
    cudaGraph_t captured = nullptr;
    need(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "capture");
    issue();
    need(cudaStreamEndCapture(stream_, &captured), "capture");
    need(cudaGraphInstantiate(&graph_, captured, 0), "instantiate");
    need(cudaGraphDestroy(captured), "destroy");
  }
  ~Runner() {
    if (graph_ != nullptr) need(cudaGraphExecDestroy(graph_), "destroy");
    need(cudaEventDestroy(begin_), "event");
    need(cudaEventDestroy(end_), "event");
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void sample(bool keep) {
    need(cudaEventRecord(begin_, stream_), "event");
    if (graph_ != nullptr) {
      need(cudaGraphLaunch(graph_, stream_), "graph");
    } else {
      issue();
    }
    need(cudaEventRecord(end_, stream_), "event");
    need(cudaEventSynchronize(end_), "run");
    float milliseconds = 0;
    need(cudaEventElapsedTime(&milliseconds, begin_, end_), "event");
    if (keep) samples_.push_back(1000.0 * static_cast<double>(milliseconds) / launches_);
  }
  [[nodiscard]] Measured result() const { return measured(samples_); }

 private:
  void issue() {
    for (int i = 0; i < launches_; ++i) work_(stream_, turn_++);
  }
  cudaStream_t stream_;
  Work work_;
  int launches_;
  std::size_t turn_ = 0;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
  cudaGraphExec_t graph_ = nullptr;
  std::vector<double> samples_;
};

// Lines of the result, printed as they come.
class Report {
 public:
  void line(const std::string& what, const std::string& how, const Measured& mine,
            const std::string& peer, const Measured& other, bool share_of_peer, double target,
            double bytes) {
    // Speed as a fraction of the peer's, or time as a multiple of it.
    const double ratio = share_of_peer ? other.microseconds / mine.microseconds
                                       : mine.microseconds / other.microseconds;
    const double rate = bytes / mine.microseconds / 1000;
    std::printf("%-16s %-34s %10.2f us +-%4.1f%%  %-26s %10.2f us +-%4.1f%%  %6.3f (%s %.2f)",
                what.c_str(), how.c_str(), mine.microseconds, 100 * mine.noise, peer.c_str(),
                other.microseconds, 100 * other.noise, ratio, share_of_peer ? ">=" : "<=", target);
    if (bytes > 0) std::printf("  %7.0f GB/s", rate);
    std::printf("\n");
    char text[640];
    std::snprintf(text, sizeof text,
                  R"({"what": "%s", "how": "%s", "microseconds": %.3f, "noise": %.4f, )"
                  R"("peer": "%s", "peer_microseconds": %.3f, "peer_noise": %.4f, )"
                  R"("ratio": %.4f, "target": %.2f, "at_least": %s, "gb_per_s": %.1f})",
                  what.c_str(), how.c_str(), mine.microseconds, mine.noise, peer.c_str(),
                  other.microseconds, other.noise, ratio, target, share_of_peer ? "true" : "false",
                  bytes > 0 ? rate : 0.0);
    lines_.emplace_back(text);
  }
  [[nodiscard]] bool write(const char* path, const std::string& device) const {
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) return false;
    std::fprintf(file, "{\"device\": \"%s\", \"samples\": %d, \"lines\": [\n", device.c_str(),
                 kSamples);
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      std::fprintf(file, "  %s%s\n", lines_[i].c_str(), i + 1 < lines_.size() ? "," : "");
    }
    std::fprintf(file, "]}\n");
    return std::fclose(file) == 0;
  }

 private:
  std::vector<std::string> lines_;
};

// Samples of all, in turn.
void take(std::vector<Runner*> runners) {
  for (int sample = -2; sample < kSamples; ++sample) {
    for (Runner* runner : runners) runner->sample(sample >= 0);
  }
}

// Buffers of one launch: inputs and outputs of all ranks, one behind the other.
struct Buffers {
  std::byte* in = nullptr;
  std::byte* out = nullptr;
};

ConstMatrix rows_of(const std::byte* data, std::uint64_t bytes) {
  return {data, static_cast<std::int64_t>(bytes) / (2 * kColumns), kColumns, ElementType::bf16};
}
Matrix rows_of(std::byte* data, std::uint64_t bytes) {
  return {data, static_cast<std::int64_t>(bytes) / (2 * kColumns), kColumns, ElementType::bf16};
}

struct Line {
  const char* what;
  std::uint64_t in_each;  // bytes a rank
  std::uint64_t out_each;
  double target;
  std::function<Launch(const Buffers&)> launch;
  std::vector<std::pair<const char*, std::function<void(cudaStream_t, const Buffers&)>>> peers;
};

template <int kReads, int kWrites, bool kApart>
auto copy_of(std::uint64_t each) {
  return [each](cudaStream_t stream, const Buffers& at) {
    const std::uint64_t chunks = each / 16;
    copy_mix<kReads, kWrites, kApart>
        <<<static_cast<unsigned>(chunks / kBlock), kBlock, 0, stream>>>(
            reinterpret_cast<const uint4*>(at.in), reinterpret_cast<uint4*>(at.out), chunks);
  };
}
template <int kReads>
auto read_of(std::uint64_t bytes) {
  return [bytes](cudaStream_t stream, const Buffers& at) {
    const auto blocks = static_cast<unsigned>(bytes / 16 / kBlock / kReads);
    read_only<kReads><<<blocks, kBlock, 0, stream>>>(reinterpret_cast<const uint4*>(at.in),
                                                     reinterpret_cast<uint4*>(at.out),
                                                     make_uint4(0x12345678U, 0x9abcdef0U, 1U, 2U));
  };
}

Launch meet(CollectiveLaunch::Kind kind, const Buffers& at, std::uint64_t in, std::uint64_t out) {
  CollectiveLaunch launch{.kind = kind, .items = {{}}};
  for (std::int64_t rank = 0; rank < kRanks; ++rank) {
    launch.items[0].in.push_back(rows_of(static_cast<const std::byte*>(at.in) + rank * in, in));
    launch.items[0].out.push_back(rows_of(at.out + rank * out, out));
  }
  return launch;
}

std::vector<Line> lines_of(std::uint64_t bytes) {
  using Kind = CollectiveLaunch::Kind;
  const double target = bytes >= 256 * kMiB ? 0.97 : bytes >= 16 * kMiB ? 0.95 : 0.90;
  const std::uint64_t part = bytes / kRanks;
  const std::uint64_t all = bytes * kRanks;
  std::vector<Line> lines;
  lines.push_back({"reduce_scatter",
                   bytes,
                   part,
                   target,
                   [=](const Buffers& at) { return meet(Kind::reduce_scatter, at, bytes, part); },
                   {{"copy 8:1, apart", copy_of<8, 1, true>(bytes)},
                    {"copy 8:1, side by side", copy_of<8, 1, false>(bytes)}}});
  lines.push_back({"all_gather",
                   part,
                   bytes,
                   target,
                   [=](const Buffers& at) { return meet(Kind::all_gather, at, part, bytes); },
                   {{"copy 1:8, apart", copy_of<1, 8, true>(bytes)},
                    {"copy 1:8, side by side", copy_of<1, 8, false>(bytes)}}});
  const auto generate = [=](const Buffers& at) {
    GenerateLaunch launch;
    for (std::int64_t rank = 0; rank < kRanks; ++rank) {
      launch.items.push_back({.to = rows_of(at.out + rank * bytes, bytes), .seed = 7});
    }
    return launch;
  };
  lines.push_back({"generate",
                   0,
                   bytes,
                   0.90,
                   generate,
                   {{"cudaMemset", [=](cudaStream_t stream, const Buffers& at) {
                       need(cudaMemsetAsync(at.out, 0, all, stream), "memset");
                     }}}});
  const auto verify = [=](const Buffers& at) {
    VerifyLaunch launch;
    for (std::int64_t rank = 0; rank < kRanks; ++rank) {
      const std::byte* rows = at.in + rank * bytes;
      launch.items.push_back({.found = rows_of(rows, bytes), .seed = 7});
    }
    return launch;
  };
  lines.push_back({"verify",
                   bytes,
                   16,
                   0.90,
                   verify,
                   {{"read, 4 a thread", read_of<4>(all)}, {"read, 8 a thread", read_of<8>(all)}}});
  return lines;
}

class Bench {
 public:
  explicit Bench(Report& report) : report_(report) {
    need(cudaStreamCreate(&stream_), "stream");
    launcher_.stream = stream_;
    need(cudaMalloc(&findings_, sizeof(DeviceFinding) + sizeof(gpu::FindingTable)), "findings");
    const gpu::FindingTable table{findings_, 1};
    need(cudaMemcpy(findings_ + 1, &table, sizeof table, cudaMemcpyHostToDevice), "findings");
    launcher_.findings = reinterpret_cast<const gpu::FindingTable*>(findings_ + 1);
  }
  ~Bench() {
    need(cudaStreamDestroy(stream_), "stream");
    need(cudaFree(findings_), "free");
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void measure(const Line& line, std::uint64_t bytes, bool graph, bool rotating) {
    const std::uint64_t in = std::max<std::uint64_t>(256, line.in_each * kRanks);
    const std::uint64_t out = std::max<std::uint64_t>(256, line.out_each * kRanks);
    const std::uint64_t sets = rotating ? 512 * kMiB / (in + out) + 1 : 1;
    std::byte* memory = nullptr;
    need(cudaMalloc(&memory, sets * (in + out)), "memory");
    if (failed) return;
    std::vector<Launch> launches;
    std::vector<Buffers> buffers;
    for (std::uint64_t set = 0; set < sets; ++set) {
      buffers.push_back({memory + set * (in + out), memory + set * (in + out) + in});
      launches.push_back(line.launch(buffers.back()));
      prepare(line, buffers.back(), bytes);
    }
    const int turns = static_cast<int>(std::clamp<std::uint64_t>(128 * kMiB / bytes, 4, 40));
    const auto of = [&](auto work) {
      return std::make_unique<Runner>(stream_, work, turns, graph);
    };
    std::vector<std::unique_ptr<Runner>> runners;
    runners.push_back(of([&](cudaStream_t, std::size_t turn) { start(launches[turn % sets]); }));
    for (const auto& [name, work] : line.peers) {
      runners.push_back(of([&, work](cudaStream_t stream, std::size_t turn) {
        work(stream, buffers[turn % sets]);
      }));
    }
    std::vector<Runner*> all;
    for (const auto& each : runners) all.push_back(each.get());
    take(all);
    std::size_t best = 1;
    for (std::size_t i = 2; i < all.size(); ++i) {
      if (all[i]->result().microseconds < all[best]->result().microseconds) best = i;
    }
    const std::string how = std::to_string(bytes / kMiB) + " MiB a rank, " +
                            (graph ? "graph" : "eager") + (rotating ? ", rotating" : ", same");
    const double moved = static_cast<double>(line.in_each * kRanks +
                                             (line.out_each > 16 ? line.out_each * kRanks : 0));
    report_.line(line.what, how, all[0]->result(), line.peers[best - 1].first, all[best]->result(),
                 true, line.target, moved);
    runners.clear();
    need(cudaFree(memory), "free");
    if (const auto error = launcher_.take_error()) {
      std::printf("# failed: %s\n", error->text.c_str());
      failed = true;
    }
  }

 private:
  void start(const Launch& launch) {
    std::visit([&](const auto& what) { gpu::enqueue(launcher_, what); }, launch);
  }
  // Sound numbers, as sums of others could be slower or quicker.
  void prepare(const Line& line, const Buffers& at, std::uint64_t bytes) {
    if (line.in_each == 0) return;
    GenerateLaunch launch;
    for (std::int64_t rank = 0; rank < kRanks; ++rank) {
      launch.items.push_back({.to = rows_of(at.in + rank * line.in_each, line.in_each), .seed = 7});
    }
    (void)bytes;
    start(launch);
    need(cudaStreamSynchronize(stream_), "generate");
  }

  Report& report_;
  cudaStream_t stream_ = nullptr;
  gpu::Launcher launcher_;
  DeviceFinding* findings_ = nullptr;
};

using Clock = std::chrono::steady_clock;
double microseconds_of(const std::function<void()>& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

// A step of 27 layers of a model with experts, on 8 ranks: six launches a layer.
class Step {
 public:
  Step(std::int64_t rows, std::int64_t hidden)
      : weights_({.layers = {{LayerMathematics::sparse, kLayers}},
                  .hidden = hidden,
                  .experts = 64,
                  .experts_per_token = 2}),
        rows_(rows),
        hidden_(hidden) {}

  [[nodiscard]] std::uint64_t bytes() const {
    return 4 * kRanks * static_cast<std::uint64_t>(rows_ * hidden_) * 2;
  }
  [[nodiscard]] std::vector<Launch> launches(std::byte* base) const {
    std::vector<Launch> out;
    for (std::int64_t layer = 0; layer < kLayers; ++layer) {
      for (const Role role : {Role::attention, Role::experts}) {
        NormLaunch norm;
        WeightsLaunch weights{&weights_, role, layer, {}};
        CollectiveLaunch sum{.kind = CollectiveLaunch::Kind::all_reduce, .items = {{}}};
        for (std::int64_t rank = 0; rank < kRanks; ++rank) {
          const Matrix hidden = at(base, 0, rank);
          const Matrix residual = at(base, 1, rank);
          const Matrix x = at(base, 2, rank);
          const Matrix part = at(base, 3, rank);
          norm.items.push_back({hidden, residual, x, residual});
          weights.items.push_back(
              {x,
               part,
               {.units = role == Role::experts ? Share{0, 32} : share_of(64, kRanks, rank),
                .experts = share_of(64, kRanks, rank)}});
          sum.items[0].in.push_back(part);
          sum.items[0].out.push_back(hidden);
        }
        out.insert(out.end(), {norm, weights, sum});
      }
    }
    return out;
  }

 private:
  static constexpr std::int64_t kLayers = 27;
  [[nodiscard]] Matrix at(std::byte* base, std::int64_t tensor, std::int64_t rank) const {
    return {base + (tensor * kRanks + rank) * rows_ * hidden_ * 2, rows_, hidden_,
            ElementType::bf16};
  }
  Weights weights_;
  std::int64_t rows_;
  std::int64_t hidden_;
};

// The kernels of a graph as a program that knows nothing else launches them.
struct BareKernels {
  std::vector<cudaKernelNodeParams> params;  // their arguments belong to `graph`
  cudaGraph_t graph = nullptr;

  void read(cudaStream_t stream, gpu::Launcher& launcher, const std::vector<Launch>& launches) {
    need(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    launcher.capturing = true;
    for (const Launch& launch : launches) {
      std::visit([&](const auto& what) { gpu::enqueue(launcher, what); }, launch);
    }
    launcher.capturing = false;
    need(cudaStreamEndCapture(stream, &graph), "capture");
    std::size_t count = 0;
    need(cudaGraphGetNodes(graph, nullptr, &count), "nodes");
    std::vector<cudaGraphNode_t> nodes(count);
    need(cudaGraphGetNodes(graph, nodes.data(), &count), "nodes");
    params.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      need(cudaGraphKernelNodeGetParams(nodes[i], &params[i]), "parameters");
    }
  }
  void launch(cudaStream_t stream) const {
    for (const cudaKernelNodeParams& each : params) {
      need(cudaLaunchKernel(each.func, each.gridDim, each.blockDim, each.kernelParams,
                            each.sharedMemBytes, stream),
           "launch");
    }
  }
};

void bench_graphs(Report& report, std::int64_t rows, std::int64_t hidden) {
  const Step step(rows, hidden);
  auto made = make_cuda_device(0);
  if (!made) {
    failed = true;
    return;
  }
  Device& device = **made;
  const auto slab = device.memory(step.bytes(), false);
  const std::vector<Launch> launches = step.launches(slab->data());
  const auto eager = [&] {
    for (const Launch& launch : launches) device.launch(launch);
    failed = failed || !device.wait();
  };
  eager();  // makes the weights and loads the kernels
  gpu::Launcher launcher;
  cudaStream_t stream = nullptr;
  need(cudaStreamCreate(&stream), "stream");
  launcher.stream = stream;
  BareKernels bare;
  bare.read(stream, launcher, launches);
  std::unique_ptr<DeviceGraph> graph;
  cudaGraphExec_t executable = nullptr;
  const auto capture = [&] {
    graph.reset();
    return microseconds_of([&] {
      (void)device.begin_capture();
      for (const Launch& launch : launches) device.launch(launch);
      auto ended = device.end_capture();
      failed = failed || !ended;
      if (ended) graph = *std::move(ended);
    });
  };
  const auto capture_bare = [&] {
    if (executable != nullptr) need(cudaGraphExecDestroy(executable), "destroy");
    cudaGraph_t captured = nullptr;
    const double time = microseconds_of([&] {
      need(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
      bare.launch(stream);
      need(cudaStreamEndCapture(stream, &captured), "capture");
      need(cudaGraphInstantiate(&executable, captured, 0), "instantiate");
      need(cudaGraphUpload(executable, stream), "upload");
    });
    need(cudaGraphDestroy(captured), "destroy");
    need(cudaStreamSynchronize(stream), "upload");
    return time;
  };
  std::vector<double> times[7];
  for (int sample = -2; sample < kSamples; ++sample) {
    const double captured = capture();
    failed = failed || !device.wait();
    const double captured_bare = capture_bare();
    const double read = microseconds_of([&] { (void)gpu::node_names(bare.graph, launcher); });
    if (failed || graph == nullptr) return;
    const double replayed = microseconds_of([&] {
      device.launch_graph(*graph);
      (void)device.wait();
    });
    const double replayed_bare = microseconds_of([&] {
      need(cudaGraphLaunch(executable, stream), "graph");
      need(cudaStreamSynchronize(stream), "graph");
    });
    const double eagerly = microseconds_of(eager);
    const double eagerly_bare = microseconds_of([&] {
      bare.launch(stream);
      need(cudaStreamSynchronize(stream), "eager");
    });
    if (sample < 0) continue;
    std::size_t which = 0;
    for (const double time :
         {captured, captured_bare, read, replayed, replayed_bare, eagerly, eagerly_bare}) {
      times[which++].push_back(time);
    }
  }
  const std::string how = std::to_string(launches.size()) + " kernels, " + std::to_string(rows) +
                          " rows of " + std::to_string(hidden);
  const auto of = [&](int which) { return measured(times[which]); };
  report.line("capture", how, of(0), "bare", of(1), false, 1.25, 0);
  report.line("read back", how, of(2), "capture", of(0), false, 0.05, 0);
  report.line("replay", how, of(3), "bare", of(4), false, 1.05, 0);
  report.line("replay", how, of(3), "eager", of(5), false, 0.50, 0);
  report.line("eager", how, of(5), "bare", of(6), false, 1.25, 0);
  need(cudaGraphExecDestroy(executable), "destroy");
  need(cudaGraphDestroy(bare.graph), "destroy");
  need(cudaStreamDestroy(stream), "stream");
}

int run(const char* json) {
  const std::vector<std::string> devices = cuda_device_names();
  if (devices.empty()) {
    std::printf("skipped: no usable CUDA device\n");
    return 77;
  }
  std::printf("# %s, %d samples of each\n", devices[0].c_str(), kSamples);
  Report report;
  {
    Bench bench(report);
    for (const std::uint64_t mib : {1, 16, 256}) {
      for (const Line& line : lines_of(mib * kMiB)) {
        for (const bool graph : {false, true}) {
          bench.measure(line, mib * kMiB, graph, false);
          if (mib == 1) bench.measure(line, mib * kMiB, graph, true);
        }
      }
    }
  }
  for (const std::int64_t hidden : {16, 2048}) bench_graphs(report, 8, hidden);
  if (json != nullptr && !report.write(json, devices[0])) {
    std::printf("# %s cannot be written\n", json);
    return 1;
  }
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace capsize::gpu_bench

int main(int argc, char** argv) {
  const char* json = nullptr;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) json = argv[i + 1];
  }
  return capsize::gpu_bench::run(json);
}
