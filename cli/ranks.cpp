// Finds out whether a launcher started this process, and loads the MPI module then.
#include "cli/ranks.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "runtime/processes/mpi/module.hpp"
#include "runtime/processes/mpi_module.hpp"

namespace capsize::cli {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::optional<unsigned> number_in(const char* name) {
  const std::string_view text = environment(name);
  unsigned value = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  return !text.empty() && error == std::errc{} && end == last ? std::optional(value) : std::nullopt;
}

// The variable by which a launcher shows; none where none does, or where it started one rank.
const char* launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    if (!environment(name).empty()) return number_in(name) == 1U ? nullptr : name;
  }
  return environment("PMIX_RANK").empty() ? nullptr : "PMIX_RANK";
}

}  // namespace

Result<std::unique_ptr<Ranks>> Ranks::join() {
  const char* name = launcher();
  if (name == nullptr) return std::unique_ptr<Ranks>();
  const std::string started =
      std::string("a launcher has started this process (") + name + " is set)";
  const auto cannot = [&](const std::string& why) {
    return tl::unexpected(
        Error{"mpi", started + ", but its MPI cannot be used: " + why,
              "build capsize where MPI is installed (Debian: libopenmpi-dev), run it without the "
              "launcher, or take shards by hand: --shard 1/2, --shard 2/2, then --merge"});
  };
  const Result<MpiModule> module = MpiModule::open();
  if (!module) return cannot(module.error().text);
  const CapsizeMpi& calls = module->calls();
  std::unique_ptr<Ranks> ranks(new Ranks(*module));
  if (const int error = calls.start(); error != 0) return cannot(calls.text(error));
  ranks->started_ = true;
  ranks->rank_ = calls.rank();
  ranks->size_ = calls.size();
  if (const auto wanted = number_in(name); wanted && name != std::string_view("PMIX_RANK") &&
                                           *wanted != static_cast<unsigned>(ranks->size_)) {
    return cannot("the launcher says " + std::to_string(*wanted) + " ranks, MPI " +
                  std::to_string(ranks->size_) + " (is it another MPI's launcher?)");
  }
  return ranks;
}

Ranks::~Ranks() {
  if (started_) (void)module_.calls().stop();
}

Result<std::vector<std::string>> Ranks::gather(const std::string& bytes) const {
  std::vector<std::string> out;
  const CapsizeTake take = [](void* context, int /*rank*/, const char* begin, std::uint64_t count) {
    static_cast<std::vector<std::string>*>(context)->emplace_back(begin, count);
  };
  const int error = module_.calls().gather(bytes.data(), bytes.size(), take, &out);
  if (error != 0) return tl::unexpected(module_.error_of(error));
  return out;
}

Result<std::int64_t> Ranks::broadcast(std::int64_t value) const {
  if (const int error = module_.calls().broadcast(&value); error != 0) {
    return tl::unexpected(module_.error_of(error));
  }
  return value;
}

Result<void> Ranks::agree(const Result<void>& mine) const {
  // An error as one string: its parts behind each other, each ended by a NUL.
  std::string told;
  if (!mine) {
    for (const std::string* part : {&mine.error().where, &mine.error().text, &mine.error().hint}) {
      told.append(*part).push_back('\0');
    }
  }
  auto all = gather(told);
  if (!all) return tl::unexpected(std::move(all.error()));
  const auto failed =
      std::ranges::find_if(*all, [](const std::string& text) { return !text.empty(); });
  auto bad = broadcast(failed == all->end() ? 0 : 1);
  if (!bad) return tl::unexpected(std::move(bad.error()));
  if (*bad == 0) return {};
  if (rank_ != 0) return tl::unexpected(Error{});
  const std::string& text = *failed;
  const std::size_t first = text.find('\0');
  const std::size_t second = text.find('\0', first + 1);
  Error error{text.substr(0, first), text.substr(first + 1, second - first - 1),
              text.substr(second + 1, text.size() - second - 2)};
  const auto rank = failed - all->begin();
  if (rank == 0) return tl::unexpected(std::move(error));
  return tl::unexpected(std::move(error).within("rank " + std::to_string(rank)));
}

bool first_on_this_machine() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMI_RANK"}) {
    if (const auto rank = number_in(name)) return *rank == 0;
  }
  return true;
}

unsigned default_threads(const Ranks* ranks) {
  const unsigned online = std::max(1U, std::thread::hardware_concurrency());
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  unsigned mine = online;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    mine = std::max(1U, static_cast<unsigned>(CPU_COUNT(&allowed)));
  }
  if (ranks == nullptr) return mine;
  // A launcher that binds its ranks has shared the processors out already.
  const long all = sysconf(_SC_NPROCESSORS_ONLN);
  if (all > 0 && mine < static_cast<unsigned>(all)) return mine;
  const unsigned here =
      number_in("OMPI_COMM_WORLD_LOCAL_SIZE")
          .value_or(number_in("MPI_LOCALNRANKS").value_or(static_cast<unsigned>(ranks->size())));
  return std::max(1U, mine / std::max(1U, here));
}

}  // namespace capsize::cli
