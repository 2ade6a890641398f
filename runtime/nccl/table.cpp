#include "runtime/nccl/table.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <string_view>

namespace capsize {
namespace {

constexpr const char* kVariable = "CAPSIZE_NCCL_LIBRARY";

tl::unexpected<Error> cannot(std::string why) {
  return tl::unexpected(Error{"nccl", std::move(why),
                              std::string("install NCCL 2.18 or later, or set ") + kVariable +
                                  " to the path of its libnccl.so.2"});
}

// Gives each function of the table its address, and remembers the first that is not there.
class Symbols {
 public:
  explicit Symbols(void* library) : library_(library) {}

  template <class Function>
  void need(const char* name, Function& out) {
    want(name, out);
    if (out == nullptr && missing_.empty()) missing_ = name;
  }
  template <class Function>
  void want(const char* name, Function& out) {
    out = reinterpret_cast<Function>(dlsym(library_, name));
  }
  [[nodiscard]] const std::string& missing() const { return missing_; }

 private:
  void* library_;
  std::string missing_;
};

std::string find_all(void* library, NcclCalls& calls) {
  Symbols symbols(library);
  symbols.need("ncclGetVersion", calls.get_version);
  symbols.need("ncclGetUniqueId", calls.get_unique_id);
  symbols.need("ncclCommInitRankConfig", calls.init_rank_config);
  symbols.need("ncclCommFinalize", calls.finalize);
  symbols.need("ncclCommDestroy", calls.destroy);
  symbols.need("ncclCommAbort", calls.abort);
  symbols.need("ncclCommGetAsyncError", calls.async_error);
  symbols.need("ncclGetErrorString", calls.error_string);
  symbols.need("ncclGetLastError", calls.last_error);
  symbols.need("ncclAllReduce", calls.all_reduce);
  symbols.need("ncclReduceScatter", calls.reduce_scatter);
  symbols.need("ncclAllGather", calls.all_gather);
  symbols.need("ncclReduce", calls.reduce);
  symbols.need("ncclBroadcast", calls.broadcast);
  symbols.need("ncclSend", calls.send);
  symbols.need("ncclRecv", calls.receive);
  symbols.need("ncclGroupStart", calls.group_start);
  symbols.need("ncclGroupEnd", calls.group_end);
  symbols.want("ncclCommSplit", calls.split);
  symbols.want("ncclCommRevoke", calls.revoke);
  return symbols.missing();
}

}  // namespace

NcclType nccl_type_of(ElementType type) {
  switch (type) {
    case ElementType::bf16: return NcclType::bf16;
    case ElementType::fp16: return NcclType::fp16;
    case ElementType::fp32: return NcclType::fp32;
    case ElementType::uint32: break;
  }
  return NcclType::uint32;
}

std::string nccl_version_text(int version) {
  // Before 2.9 the numbers had less room.
  const int major = version < 10000 ? version / 1000 : version / 10000;
  const int minor = version < 10000 ? version / 100 % 10 : version / 100 % 100;
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(version % 100);
}

Result<NcclLibrary> NcclLibrary::open() {
  const char* named = std::getenv(kVariable);
  return open(named == nullptr || *named == '\0' ? "libnccl.so.2" : named);
}

Result<NcclLibrary> NcclLibrary::open(const std::string& file) {
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    return cannot("NCCL cannot be loaded: " + (why == nullptr ? file : std::string(why)));
  }
  NcclLibrary out;
  const std::string missing = find_all(library, out.calls_);
  // An old library lacks functions; its version says more than their names.
  if (out.calls_.get_version == nullptr) return cannot(file + " is no NCCL: no ncclGetVersion");
  if (out.calls_.get_version(&out.version_) != NcclStatus::success) {
    return cannot(file + " does not tell its version");
  }
  if (out.version_ < kOldest) {
    return cannot(file + " is NCCL " + nccl_version_text(out.version_) + ", older than " +
                  nccl_version_text(kOldest));
  }
  if (!missing.empty()) return cannot(file + " has no " + missing);
  return out;
}

Error NcclLibrary::error_of(NcclStatus status, NcclCommunicator* communicator) const {
  std::string text = calls_.error_string(status);
  const char* more = calls_.last_error(communicator);
  if (more != nullptr && *more != '\0') text += std::string(": ") + more;
  return Error{"nccl", std::move(text), "NCCL_DEBUG=WARN makes NCCL say more"};
}

}  // namespace capsize
