#include "scenarios/formats/plan_like.hpp"

#include <algorithm>
#include <numeric>

#include "sim/timeline.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kCountMost = std::int64_t{1} << 53;  // what a plan file may hold

// Multiplies counts by one ratio and remembers whether all came out whole.
class Scale {
 public:
  Scale(std::int64_t tokens, std::int64_t over)
      : times_(tokens / std::gcd(tokens, over)), over_(over / std::gcd(tokens, over)) {}

  void operator()(std::int64_t& count) {
    whole_ = whole_ && count % over_ == 0 && (times_ == 0 || count / over_ <= kCountMost / times_);
    count = whole_ ? count / over_ * times_ : 0;
  }
  void operator()(std::optional<std::int64_t>& count) {
    if (count) (*this)(*count);
  }
  void operator()(std::vector<std::int64_t>& counts) {
    for (std::int64_t& each : counts) (*this)(each);
  }
  void operator()(GraphKey& key) {
    auto size = size_in(key);
    if (!size) return;
    const GraphKey rest = without_size(key);
    (*this)(*size);
    for (NamedValue& each : key) {
      if (std::ranges::find(rest, each) == rest.end()) each.second = std::to_string(*size);
    }
  }

  [[nodiscard]] bool whole() const { return whole_; }

 private:
  std::int64_t times_;
  std::int64_t over_;
  bool whole_ = true;
};

void apply(Scale& scale, Program& program) {
  scale(program.tokens);
  scale(program.requests);
  scale(program.padded_requests);
  scale(program.bucket);
  if (program.key) scale(*program.key);
  for (PlanOp& op : program.ops) {
    scale(op.rows_in);
    scale(op.rows_out);
    scale(op.sizes);
    for (auto& [name, rows] : op.extents) scale(rows);
  }
}

}  // namespace

std::optional<std::vector<Program>> programs_like(const PlanEvent& event, std::int64_t tokens) {
  if (event.tokens.value_or(0) < 1) return std::nullopt;
  std::vector<Program> out = event.programs;
  Scale scale(tokens, *event.tokens);
  for (Program& program : out) {
    apply(scale, program);
    if (!scale.whole()) return std::nullopt;
  }
  return out;
}

}  // namespace capsize
