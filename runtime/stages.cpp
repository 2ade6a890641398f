#include "runtime/stages.hpp"

#include <cstddef>

namespace capsize {
namespace {

// A row of integers, whatever type holds them.
class RowHash {
 public:
  void add(std::int32_t value) {
    hash_ = (hash_ ^ static_cast<std::uint32_t>(value)) * 0x100000001b3ULL;
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace

void Stages::add(std::int64_t coordinate, std::uint64_t batch, std::int64_t count) {
  for (std::int64_t token = 0; token < count; ++token) {
    const auto residuals = data_.residuals(coordinate, batch, token);
    stages_.resize(residuals.size());
    for (std::size_t stage = 0; stage < residuals.size(); ++stage) {
      RowHash hash;
      for (const std::int32_t each : residuals[stage]) hash.add(each);
      stages_[stage].insert(hash.value());
    }
  }
}

Result<std::optional<std::int64_t>> Stages::first_wrong_row(const LocalCall& call, bool attended,
                                                            RowSpace& space) const {
  const bool norms = call.role == Role::add_norm;
  if (!norms && call.role != Role::add) return std::nullopt;
  // The addition behind the MLP belongs to the layer that follows.
  const std::size_t stage =
      2 * static_cast<std::size_t>(call.layer) + (norms ? (attended ? 1 : 0) : 2);
  if (stage >= stages_.size()) return std::nullopt;
  const auto there = space.on_host(call.out[norms ? 1 : 0]);
  if (!there) return tl::unexpected(there.error());
  const ConstMatrix& rows = *there;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    RowHash hash;
    for (std::int64_t column = 0; column < rows.columns; ++column) {
      hash.add(
          load(rows.type, rows.row(row) + static_cast<std::size_t>(column) * bytes_of(rows.type)));
    }
    if (!stages_[stage].contains(hash.value())) return row;
  }
  return std::nullopt;
}

}  // namespace capsize
