// libnccl as a typed table of its functions, found when a program runs (dlopen): nothing of NCCL or
// CUDA is needed to build, and nothing of them is loaded before open() is called.
//
//   Result<NcclLibrary> nccl = NcclLibrary::open();
//   NcclUniqueId id;
//   if (nccl && nccl->calls().get_unique_id(&id) == NcclStatus::success) ...
//
// The names are ours, the layouts and numbers NCCL's: tests/gpu/nccl_world_of_one.cpp compares them
// with nccl.h where there is one.
#pragma once

#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/rows/element.hpp"
#include "sim/error.hpp"

namespace capsize {

struct NcclCommunicator;  // NCCL's own
struct DeviceStream;      // runtime/device/device.hpp

// As wide as C makes them.
enum class NcclStatus : std::uint32_t {
  success = 0,
  unhandled_cuda_error = 1,
  system_error = 2,
  internal_error = 3,
  invalid_argument = 4,
  invalid_usage = 5,
  remote_error = 6,
  in_progress = 7,
};
enum class NcclType : std::uint32_t { uint32 = 3, fp16 = 6, fp32 = 7, bf16 = 9 };
enum class NcclReduction : std::uint32_t { sum = 0, max = 2 };

[[nodiscard]] NcclType nccl_type_of(ElementType type);

struct NcclUniqueId {
  std::array<char, 128> bytes{};
};

// How a communicator is to be, as NCCL 2.18 knows it; later versions keep the meaning of what is
// left out.
struct NcclConfig {
  static constexpr int kLeftToNccl = INT_MIN;
  std::size_t size = sizeof(NcclConfig);
  std::uint32_t magic = 0xcafebeefU;
  std::uint32_t version = 21800;
  int blocking = kLeftToNccl;
  int cga_cluster_size = kLeftToNccl;
  int ctas_min = kLeftToNccl;
  int ctas_max = kLeftToNccl;
  const char* net_name = nullptr;
  int split_share = kLeftToNccl;
  int padding = kLeftToNccl;
};

// ncclCommSplit: of this colour is who gets no communicator.
inline constexpr int kNcclNoColor = -1;

struct NcclCalls {
  NcclStatus (*get_version)(int* version);
  NcclStatus (*get_unique_id)(NcclUniqueId* id);
  NcclStatus (*init_rank_config)(NcclCommunicator** out, int ranks, NcclUniqueId id, int rank,
                                 NcclConfig* config);
  NcclStatus (*finalize)(NcclCommunicator* communicator);
  NcclStatus (*destroy)(NcclCommunicator* communicator);
  NcclStatus (*abort)(NcclCommunicator* communicator);
  NcclStatus (*async_error)(NcclCommunicator* communicator, NcclStatus* error);
  const char* (*error_string)(NcclStatus status);
  const char* (*last_error)(NcclCommunicator* communicator);

  NcclStatus (*all_reduce)(const void* in, void* out, std::size_t count, NcclType type,
                           NcclReduction reduction, NcclCommunicator* over, DeviceStream* stream);
  // `count` is what each member gets.
  NcclStatus (*reduce_scatter)(const void* in, void* out, std::size_t count, NcclType type,
                               NcclReduction reduction, NcclCommunicator* over,
                               DeviceStream* stream);
  // `count` is what each member brings.
  NcclStatus (*all_gather)(const void* in, void* out, std::size_t count, NcclType type,
                           NcclCommunicator* over, DeviceStream* stream);
  NcclStatus (*reduce)(const void* in, void* out, std::size_t count, NcclType type,
                       NcclReduction reduction, int root, NcclCommunicator* over,
                       DeviceStream* stream);
  NcclStatus (*broadcast)(const void* in, void* out, std::size_t count, NcclType type, int root,
                          NcclCommunicator* over, DeviceStream* stream);
  NcclStatus (*send)(const void* in, std::size_t count, NcclType type, int peer,
                     NcclCommunicator* over, DeviceStream* stream);
  NcclStatus (*receive)(void* out, std::size_t count, NcclType type, int peer,
                        NcclCommunicator* over, DeviceStream* stream);
  NcclStatus (*group_start)();
  NcclStatus (*group_end)();

  // ---- not in every library: null where it is missing ----
  NcclStatus (*split)(NcclCommunicator* parent, int color, int key, NcclCommunicator** out,
                      NcclConfig* config);
  NcclStatus (*revoke)(NcclCommunicator* communicator, int flags);
};

class NcclLibrary {
 public:
  // The oldest that is used: the first whose communicators can be split.
  static constexpr int kOldest = 21800;

  // $CAPSIZE_NCCL_LIBRARY, or libnccl.so.2 as the loader finds it.
  [[nodiscard]] static Result<NcclLibrary> open();
  [[nodiscard]] static Result<NcclLibrary> open(const std::string& file);

  [[nodiscard]] const NcclCalls& calls() const { return calls_; }
  [[nodiscard]] int version() const { return version_; }  // 22809
  // What a call gave that went wrong, in NCCL's words; `communicator` may be null.
  [[nodiscard]] Error error_of(NcclStatus status, NcclCommunicator* communicator) const;

 private:
  NcclLibrary() = default;

  NcclCalls calls_{};  // the library stays loaded: it has threads of its own
  int version_ = 0;
};

// "2.28.9".
[[nodiscard]] std::string nccl_version_text(int version);

}  // namespace capsize
