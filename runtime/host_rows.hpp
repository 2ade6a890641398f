// Rows in the memory of this process.
#pragma once

#include "runtime/backend.hpp"
#include "runtime/row_space.hpp"

namespace capsize {

class HostRows : public RowSpace {
 public:
  [[nodiscard]] Result<std::span<std::byte>> memory(std::size_t bytes, bool plain) override;
  [[nodiscard]] std::int64_t memory_max() const override;
  [[nodiscard]] Result<ConstMatrix> keep(const KeptKey& key, ConstMatrix rows) override;
  void copy(ConstMatrix from, Matrix to) override;
  void fill(Matrix rows, std::uint32_t bits) override;
  void ask_difference(ConstMatrix found, ConstMatrix expected) override;
  void ask_unwritten(ConstMatrix rows) override;
  void ask_touched(ConstMatrix rows) override;
  [[nodiscard]] Result<std::vector<Answer>> answers() override;
  [[nodiscard]] Result<ConstMatrix> on_host(ConstMatrix rows) override;

 private:
  std::vector<std::byte> memory_;
  std::vector<Answer> answers_;
};

// What a backend whose rows the host can read does with an output, before and behind the operation.
void prepare_on_host(const OutputPlace& output);
[[nodiscard]] OutputFault look_on_host(const OutputPlace& output);

}  // namespace capsize
