#include "runtime/comparison.hpp"

#include <algorithm>
#include <utility>

namespace capsize {
namespace {

Matrix first_rows(Matrix rows, std::int64_t count) {
  rows.rows = std::clamp<std::int64_t>(count, 0, rows.rows);
  return rows;
}

Mismatch mismatch_of(Check check, std::int64_t rank, LaunchMode mode) {
  Mismatch out;
  out.check = check;
  out.place.rank = rank;
  out.place.kind = "output";
  out.mode = name_of(mode);
  return out;
}

}  // namespace

void tell_wrong(EventObservation& seen, Mismatch mismatch, std::string text) {
  if (seen.symptom == Symptom::none) {
    seen.symptom = Symptom::silent_corruption;
    seen.place = mismatch.place;
    seen.text = std::move(text);
  }
  seen.mismatches.push_back(std::move(mismatch));
}

Matrix output_of(const Lane& lane) {
  return lane.bound.empty() ? Matrix{} : lane.bound.back().out[0];
}

Result<void> Comparisons::with_oracle(ModelData& data, std::uint64_t batch, const Lane& lane,
                                      const Placement& at, Observation& totals,
                                      EventObservation& seen) {
  const Matrix output = output_of(lane);
  if (output.rows != at.rows) {
    Mismatch out = mismatch_of(Check::oracle, lane.rank, lane.mode);
    out.expected = std::to_string(at.rows) + " rows";
    out.found = std::to_string(output.rows) + " rows";
    tell_wrong(seen, std::move(out),
               "the rank ends with " + std::to_string(output.rows) + " rows and began with " +
                   std::to_string(at.rows));
    return {};
  }
  totals.elements += at.real * output.columns;
  if (at.first > 0) totals.nonzero -= data.rows(at.coordinate, batch, at.first).nonzero;
  const auto rows = data.rows(at.coordinate, batch, at.first + at.real);
  totals.nonzero += rows.nonzero;
  auto expected = space_.keep({data.id(), at.coordinate, batch, true}, rows.expected);
  if (!expected) return tl::unexpected(std::move(expected.error()));
  expected->data = expected->row(at.first);
  expected->rows = at.real;
  ask(Check::oracle, lane, first_rows(output, at.real), *expected, "the result is not the model's");
  return {};
}

void Comparisons::with_eager(const Lane& lane, const Lane& eager, std::int64_t rows) {
  ask(Check::eager, lane, first_rows(output_of(lane), rows), first_rows(output_of(eager), rows),
      "a graph computes other rows than eager does");
}

void Comparisons::ask(Check check, const Lane& lane, Matrix found, ConstMatrix expected,
                      std::string text) {
  space_.ask_difference(found, expected);
  asked_.push_back({check, lane.rank, lane.mode, found, expected, std::move(text)});
}

Result<void> Comparisons::tell(EventObservation& seen) {
  const auto answers = space_.answers();
  if (!answers) return tl::unexpected(answers.error());
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    Asked& each = asked_[i];
    const RowSpace::Answer& answer = (*answers)[i];
    const std::int64_t elements = each.found.rows * each.found.columns;
    seen.elements_compared += elements;
    if (answer.count == 0) continue;
    Mismatch out = mismatch_of(each.check, each.rank, each.mode);
    out.row = answer.first.row;
    out.column = answer.first.column;
    out.count = answer.count;
    out.of = elements;
    auto expected = value_at(each.expected, answer.first);
    auto found = value_at(each.found, answer.first);
    if (!expected) return tl::unexpected(std::move(expected.error()));
    if (!found) return tl::unexpected(std::move(found.error()));
    out.expected = *std::move(expected);
    out.found = *std::move(found);
    tell_wrong(seen, std::move(out), std::move(each.text));
  }
  return {};
}

Result<std::string> Comparisons::value_at(const ConstMatrix& rows, ElementPlace place) {
  ConstMatrix row = rows;
  row.data = rows.row(place.row);
  row.rows = 1;
  const auto there = space_.on_host(row);
  if (!there) return tl::unexpected(there.error());
  const std::size_t offset = static_cast<std::size_t>(place.column) * bytes_of(rows.type);
  return std::to_string(load(rows.type, there->data + offset));
}

}  // namespace capsize
