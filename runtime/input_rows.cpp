#include "runtime/input_rows.hpp"

#include <utility>

#include "runtime/comparison.hpp"

namespace capsize {

Result<void> InputRows::enter(std::int64_t rank, const Placement& at, Matrix input) {
  if (input.rows == 0) return {};  // a later pipeline stage receives its rows
  if (at.real > 0) {
    if (auto copied = copy_tokens(at, input); !copied) return copied;
  }
  if (at.real >= input.rows) return {};
  Matrix padding = input;
  padding.data = input.row(at.real);
  padding.rows -= at.real;
  poison(padding);
  padded_.push_back({rank, at.real});
  return {};
}

Result<void> InputRows::copy_tokens(const Placement& at, Matrix input) {
  const auto rows = data_->rows(at.coordinate, batch_, at.first + at.real);
  auto entry = backend_.rows().keep({data_->id(), at.coordinate, batch_, false}, rows.entry);
  if (!entry) return tl::unexpected(std::move(entry.error()));
  entry->data = entry->row(at.first);
  entry->rows = input.rows = at.real;
  backend_.rows().copy(*entry, input);
  return {};
}

void InputRows::poison(const Matrix& padding) {
  backend_.rows().fill(padding, unwritten_bits(padding.type));
  backend_.poison(padding, static_cast<Poison>(event_ % kPoisons),
                  static_cast<std::uint64_t>(event_));
  backend_.rows().ask_unwritten(padding);
}

Result<void> InputRows::check(EventObservation& seen) {
  const auto answers = backend_.rows().answers();
  if (!answers) return tl::unexpected(answers.error());
  for (std::size_t i = 0; i < padded_.size(); ++i) {
    const RowSpace::Answer& each = (*answers)[i];
    if (each.count == 0) continue;
    // A padding row that holds no poison proves nothing.
    Mismatch mismatch;
    mismatch.check = Check::padding;
    mismatch.place = {.rank = padded_[i].rank, .kind = "input"};
    mismatch.row = padded_[i].first_row + each.first.row;
    tell_wrong(seen, std::move(mismatch),
               "a padding row was not poisoned, so that nothing is known of what it does");
  }
  return {};
}

}  // namespace capsize
