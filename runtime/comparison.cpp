#include "runtime/comparison.hpp"

#include <algorithm>
#include <utility>

namespace capsize {
namespace {

Matrix first_rows(Matrix rows, std::int64_t count) {
  rows.rows = std::clamp<std::int64_t>(count, 0, rows.rows);
  return rows;
}

Mismatch mismatch_of(Check check, const Lane& lane) {
  Mismatch out;
  out.check = check;
  out.place.rank = lane.rank;
  out.place.kind = "output";
  out.mode = lane.mode;
  return out;
}

std::string value_at(const ConstMatrix& rows, ElementPlace place) {
  const std::byte* element =
      rows.row(place.row) + static_cast<std::size_t>(place.column) * bytes_of(rows.type);
  return std::to_string(load(rows.type, element));
}

void compare_rows(Check check, const Lane& lane, const Matrix& found, const ConstMatrix& expected,
                  std::string text, EventObservation& seen) {
  seen.elements_compared += found.rows * found.columns;
  const Difference difference = compare(found, expected);
  if (difference.count == 0) return;
  Mismatch out = mismatch_of(check, lane);
  out.row = difference.first.row;
  out.column = difference.first.column;
  out.count = difference.count;
  out.of = found.rows * found.columns;
  out.expected = value_at(expected, difference.first);
  out.found = value_at(found, difference.first);
  tell_wrong(seen, std::move(out), std::move(text));
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

void compare_with_oracle(ModelData& data, std::uint64_t batch, const Lane& lane,
                         const Placement& at, Observation& totals, EventObservation& seen) {
  const Matrix output = output_of(lane);
  if (output.rows != at.rows) {
    Mismatch out = mismatch_of(Check::oracle, lane);
    out.expected = std::to_string(at.rows) + " rows";
    out.found = std::to_string(output.rows) + " rows";
    return tell_wrong(seen, std::move(out),
                      "the rank ends with " + std::to_string(output.rows) +
                          " rows and began with " + std::to_string(at.rows));
  }
  totals.elements += at.real * output.columns;
  if (at.first > 0) totals.nonzero -= data.rows(at.coordinate, batch, at.first).nonzero;
  const auto rows = data.rows(at.coordinate, batch, at.first + at.real);
  totals.nonzero += rows.nonzero;
  ConstMatrix expected = rows.expected;
  expected.data = rows.expected.row(at.first);
  expected.rows = at.real;
  compare_rows(Check::oracle, lane, first_rows(output, at.real), expected,
               "the result is not the model's", seen);
}

void compare_with_eager(const Lane& lane, const Lane& eager, std::int64_t rows,
                        EventObservation& seen) {
  compare_rows(Check::eager, lane, first_rows(output_of(lane), rows),
               first_rows(output_of(eager), rows), "a graph computes other rows than eager does",
               seen);
}

}  // namespace capsize
