// A library with NCCL's interface that runs on processors: for tests of everything around NCCL. It
// moves rows between processes through files that they share, on the host's memory and at once
// (streams mean nothing), as unchecked as NCCL: each rank goes by its own counts. Communicators are
// non-blocking: they are made while they are asked for their state.
//
// The environment says what a process wants of it:
//   FAKE_NCCL_FOLDER   where the files lie that its processes share
//   FAKE_NCCL_RANK     the process' own name; with it its calls are written to FOLDER/calls-RANK
//   FAKE_NCCL_VERSION  another version than 2.28.9, as a number
//   FAKE_NCCL_FAULT    "init": no communicator can be made; the name of a call: its communicator is
//                      in error behind it
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "runtime/nccl/table.hpp"
#include "runtime/rows/element_codec.hpp"
#include "tests/nccl/fake/world.hpp"

namespace {

using namespace fake_nccl;
using capsize::NcclConfig;
using capsize::NcclReduction;
using capsize::NcclType;
using capsize::NcclUniqueId;

// ---- rows ---------------------------------------------------------------------------------------

std::size_t bytes_of(NcclType type) {
  return type == NcclType::bf16 || type == NcclType::fp16 ? 2 : 4;
}

void put(Communicator& over, int to, const void* data, std::size_t bytes) {
  Mailbox& box =
      over.shared->box.at(static_cast<std::size_t>(over.rank)).at(static_cast<std::size_t>(to));
  const std::uint64_t number = box.written.load();
  while (number - box.read.load() >= kRing) pause_a_little();
  Mailbox::Message& message = box.ring.at(number % kRing);
  message.bytes = bytes;
  std::memcpy(message.data.data(), data, bytes);
  box.written.store(number + 1);
}

// What was sent, as far as it fits.
void get(Communicator& over, int from, void* data, std::size_t bytes) {
  Mailbox& box =
      over.shared->box.at(static_cast<std::size_t>(from)).at(static_cast<std::size_t>(over.rank));
  const std::uint64_t number = box.read.load();
  while (box.written.load() == number) pause_a_little();
  const Mailbox::Message& message = box.ring.at(number % kRing);
  std::memcpy(data, message.data.data(), std::min(bytes, message.bytes));
  box.read.store(number + 1);
}

template <class Element>
void combine(const char* from, char* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    typename Element::Bits a{};
    typename Element::Bits b{};
    std::memcpy(&a, to + i * sizeof a, sizeof a);
    std::memcpy(&b, from + i * sizeof b, sizeof b);
    a = Element::sum(a, b);
    std::memcpy(to + i * sizeof a, &a, sizeof a);
  }
}

void combine_largest(const char* from, char* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::memcpy(&a, to + i * sizeof a, sizeof a);
    std::memcpy(&b, from + i * sizeof b, sizeof b);
    if (b > a) std::memcpy(to + i * sizeof b, &b, sizeof b);
  }
}

void add(const std::vector<char>& from, char* to, std::size_t count, NcclType type) {
  using capsize::ElementType;
  using capsize::codec::Codec;
  switch (type) {
    case NcclType::bf16: return combine<Codec<ElementType::bf16>>(from.data(), to, count);
    case NcclType::fp16: return combine<Codec<ElementType::fp16>>(from.data(), to, count);
    case NcclType::fp32: return combine<Codec<ElementType::fp32>>(from.data(), to, count);
    case NcclType::uint32: return combine<Codec<ElementType::uint32>>(from.data(), to, count);
  }
}

// ---- calls --------------------------------------------------------------------------------------

enum class Kind { all_reduce, reduce_scatter, all_gather, reduce, broadcast, send, receive };

constexpr std::array<const char*, 7> kNames = {
    "all_reduce", "reduce_scatter", "all_gather", "reduce", "broadcast", "send", "receive"};

struct Call {
  Kind kind = Kind::send;
  Communicator* over = nullptr;
  const void* in = nullptr;
  void* out = nullptr;
  std::size_t count = 0;
  NcclType type = NcclType::uint32;
  int peer = -1;  // or root
  NcclReduction reduction = NcclReduction::sum;

  [[nodiscard]] std::size_t bytes() const { return count * bytes_of(type); }
  [[nodiscard]] const char* in_at(int part) const {
    return static_cast<const char*>(in) + static_cast<std::size_t>(part) * bytes();
  }
  [[nodiscard]] char* out_at(int part) const {
    return static_cast<char*>(out) + static_cast<std::size_t>(part) * bytes();
  }
};

int depth = 0;
std::vector<Call> grouped;

// The first half of every call: what this rank brings. Nobody waits for a reader in it.
void give(const Call& call) {
  Communicator& over = *call.over;
  if (call.kind == Kind::send) return put(over, call.peer, call.in, call.bytes());
  if (call.kind == Kind::receive) return;
  if (call.kind == Kind::broadcast && over.rank != call.peer) return;
  for (int to = 0; to < over.ranks; ++to) {
    if (call.kind == Kind::reduce && to != call.peer) continue;
    put(over, to, call.in_at(call.kind == Kind::reduce_scatter ? to : 0), call.bytes());
  }
}

void take(const Call& call) {
  Communicator& over = *call.over;
  switch (call.kind) {
    case Kind::send: return;
    case Kind::receive:
    case Kind::broadcast: return get(over, call.peer, call.out, call.bytes());
    case Kind::all_gather:
      for (int from = 0; from < over.ranks; ++from)
        get(over, from, call.out_at(from), call.bytes());
      return;
    case Kind::reduce:
      if (over.rank != call.peer) return;
      [[fallthrough]];
    case Kind::all_reduce:
    case Kind::reduce_scatter: {
      std::vector<char> part(call.bytes());
      get(over, 0, call.out, call.bytes());
      for (int from = 1; from < over.ranks; ++from) {
        get(over, from, part.data(), call.bytes());
        if (call.reduction == NcclReduction::max) {
          combine_largest(part.data(), call.out_at(0), call.count);
        } else {
          add(part, call.out_at(0), call.count, call.type);
        }
      }
    }
  }
}

void run_all() {
  std::vector<Call> calls;
  calls.swap(grouped);
  for (const Call& call : calls) give(call);
  for (const Call& call : calls) take(call);
}

NcclStatus enter(const Call& call) {
  const char* name = kNames.at(static_cast<std::size_t>(call.kind));
  note(std::string(name) + " " + call.over->name + " count " + std::to_string(call.count) +
       " type " + std::to_string(static_cast<int>(call.type)) +
       (call.peer >= 0 ? " peer " + std::to_string(call.peer) : std::string()));
  if (call.over->doing != Doing::nothing) {
    call.over->trouble = "the communicator is not ready";
    return NcclStatus::invalid_usage;
  }
  const bool largest = call.reduction == NcclReduction::max;
  if (call.bytes() > kMessageMax || call.peer >= call.over->ranks ||
      (largest && call.type != NcclType::uint32)) {
    call.over->trouble = "too much, to nobody, or a sum that the fake does not know";
    return NcclStatus::invalid_argument;
  }
  if (variable("FAKE_NCCL_FAULT") == name) {
    call.over->doing = Doing::failed;
    call.over->trouble = "a peer has closed its connection";
    return NcclStatus::in_progress;
  }
  if (call.count > 0) grouped.push_back(call);
  if (depth == 0) run_all();
  return NcclStatus::success;
}

}  // namespace

// ---- the interface ------------------------------------------------------------------------------

#define FAKE extern "C" __attribute__((visibility("default"))) capsize::NcclStatus
using capsize::DeviceStream;

FAKE ncclGetVersion(int* version) {
  const std::string other = variable("FAKE_NCCL_VERSION");
  *version = other.empty() ? 22809 : std::atoi(other.c_str());
  return NcclStatus::success;
}

FAKE ncclGetUniqueId(NcclUniqueId* id) {
  static int ids = 0;
  const std::string name = "u" + variable("FAKE_NCCL_RANK") + "-" + std::to_string(ids++);
  id->bytes = {};
  (void)name.copy(id->bytes.data(), id->bytes.size() - 1);
  note("unique_id " + name);
  return NcclStatus::success;
}

FAKE ncclCommInitRankConfig(Communicator** out, int ranks, NcclUniqueId id, int rank,
                            NcclConfig* config) {
  *out = nullptr;
  const std::string name = id.bytes.data();
  note("init " + name + " rank " + std::to_string(rank) + " of " + std::to_string(ranks));
  const bool whole = config != nullptr && config->size >= sizeof(NcclConfig) &&
                     config->magic == NcclConfig{}.magic && config->blocking == 0;
  if (!whole || ranks > kRanksMax || rank >= ranks) return NcclStatus::invalid_argument;
  *out = attach(name, ranks, rank);
  if (*out == nullptr) return NcclStatus::system_error;
  if (variable("FAKE_NCCL_FAULT") == "init") {
    (*out)->doing = Doing::failed;
    (*out)->trouble = "no device answers";
  }
  return NcclStatus::in_progress;
}

FAKE ncclCommSplit(Communicator* parent, int color, int key, Communicator** out,
                   NcclConfig* config) {
  *out = nullptr;
  note("split " + parent->name + " color " + std::to_string(color) + " key " + std::to_string(key));
  if (parent->doing != Doing::nothing || config == nullptr || config->blocking != 0) {
    return NcclStatus::invalid_usage;
  }
  Split& split = parent->shared->splits.at(parent->splits++);
  split.color.at(static_cast<std::size_t>(parent->rank)) = color;
  split.key.at(static_cast<std::size_t>(parent->rank)) = key;
  split.entered.fetch_add(1);
  parent->child = out;
  parent->doing = Doing::splits;
  return NcclStatus::in_progress;
}

FAKE ncclCommFinalize(Communicator* communicator) {
  note("finalize " + communicator->name);
  communicator->shared->finalizing.fetch_add(1);
  communicator->doing = Doing::finalizes;
  return NcclStatus::in_progress;
}

FAKE ncclCommDestroy(Communicator* communicator) {
  note("destroy " + communicator->name);
  if (communicator->doing != Doing::nothing) return NcclStatus::invalid_usage;
  detach(communicator);
  return NcclStatus::success;
}

// As NCCL's, it waits for graphs that use the communicator.
FAKE ncclCommAbort(Communicator* communicator) {
  note("abort " + communicator->name);
  while (graphs.load() > 0) pause_a_little();
  detach(communicator);
  return NcclStatus::success;
}

FAKE ncclCommRevoke(Communicator* /*communicator*/, int /*flags*/) { return NcclStatus::success; }

FAKE ncclCommGetAsyncError(Communicator* communicator, NcclStatus* error) {
  *error = state_of(*communicator);
  return NcclStatus::success;
}

extern "C" const char* ncclGetErrorString(NcclStatus status) {
  switch (status) {
    case NcclStatus::success: return "no error";
    case NcclStatus::remote_error: return "remote process exited or there was a network error";
    case NcclStatus::invalid_usage: return "invalid usage";
    case NcclStatus::invalid_argument: return "invalid argument";
    default: return "another error";
  }
}

extern "C" const char* ncclGetLastError(Communicator* communicator) {
  return communicator == nullptr ? "" : communicator->trouble.c_str();
}

FAKE ncclAllReduce(const void* in, void* out, std::size_t count, NcclType type,
                   NcclReduction reduction, Communicator* over, DeviceStream* /*stream*/) {
  return enter({Kind::all_reduce, over, in, out, count, type, -1, reduction});
}

FAKE ncclReduceScatter(const void* in, void* out, std::size_t count, NcclType type,
                       NcclReduction reduction, Communicator* over, DeviceStream* /*stream*/) {
  return enter({Kind::reduce_scatter, over, in, out, count, type, -1, reduction});
}

FAKE ncclAllGather(const void* in, void* out, std::size_t count, NcclType type, Communicator* over,
                   DeviceStream* /*stream*/) {
  return enter({Kind::all_gather, over, in, out, count, type});
}

FAKE ncclReduce(const void* in, void* out, std::size_t count, NcclType type,
                NcclReduction reduction, int root, Communicator* over, DeviceStream* /*stream*/) {
  return enter({Kind::reduce, over, in, out, count, type, root, reduction});
}

FAKE ncclBroadcast(const void* in, void* out, std::size_t count, NcclType type, int root,
                   Communicator* over, DeviceStream* /*stream*/) {
  return enter({Kind::broadcast, over, in, out, count, type, root});
}

FAKE ncclSend(const void* in, std::size_t count, NcclType type, int peer, Communicator* over,
              DeviceStream* /*stream*/) {
  return enter({Kind::send, over, in, nullptr, count, type, peer});
}

FAKE ncclRecv(void* out, std::size_t count, NcclType type, int peer, Communicator* over,
              DeviceStream* /*stream*/) {
  return enter({Kind::receive, over, nullptr, out, count, type, peer});
}

FAKE ncclGroupStart() {
  ++depth;
  return NcclStatus::success;
}

FAKE ncclGroupEnd() {
  if (depth == 0) return NcclStatus::invalid_usage;
  if (--depth == 0) run_all();
  return NcclStatus::success;
}

// Not NCCL's: graphs that were captured (1) or are gone (-1).
extern "C" void fake_nccl_graphs(int change) { graphs.fetch_add(change); }

// One interface, written down twice.
using capsize::NcclCalls;
static_assert(
    std::is_same_v<decltype(&ncclCommInitRankConfig), decltype(NcclCalls::init_rank_config)>);
static_assert(std::is_same_v<decltype(&ncclCommSplit), decltype(NcclCalls::split)>);
static_assert(std::is_same_v<decltype(&ncclCommGetAsyncError), decltype(NcclCalls::async_error)>);
static_assert(std::is_same_v<decltype(&ncclGetErrorString), decltype(NcclCalls::error_string)>);
static_assert(std::is_same_v<decltype(&ncclGetLastError), decltype(NcclCalls::last_error)>);
static_assert(std::is_same_v<decltype(&ncclAllReduce), decltype(NcclCalls::all_reduce)>);
static_assert(std::is_same_v<decltype(&ncclReduceScatter), decltype(NcclCalls::reduce_scatter)>);
static_assert(std::is_same_v<decltype(&ncclAllGather), decltype(NcclCalls::all_gather)>);
static_assert(std::is_same_v<decltype(&ncclReduce), decltype(NcclCalls::reduce)>);
static_assert(std::is_same_v<decltype(&ncclBroadcast), decltype(NcclCalls::broadcast)>);
static_assert(std::is_same_v<decltype(&ncclSend), decltype(NcclCalls::send)>);
static_assert(std::is_same_v<decltype(&ncclRecv), decltype(NcclCalls::receive)>);
