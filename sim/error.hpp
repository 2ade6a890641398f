// What goes wrong, as values. Two kinds that never mix: an `Error` means that capsize cannot read
// what it was given (exit status 2); a `Refusal` means that the engine itself would not start
// (exit status 3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace capsize {

// Bad input. `where` is a place that a person can find ("line 3, column 7", "$.captures[0].kept",
// "--rules"), `text` says what is wrong there, `hint` says the way out.
struct Error {
  std::string where;
  std::string text;
  std::string hint;

  // The same error, seen from one level further out: `place` is put in front of `where`.
  [[nodiscard]] Error within(std::string_view place) && {
    where = where.empty() ? std::string(place) : std::string(place) + ": " + where;
    return std::move(*this);
  }
};

template <class T>
using Result = tl::expected<T, Error>;

// Where in an engine's start-up a launch is refused; the words of the result format.
enum class RefusalStage { arguments, resolution, model, capture };

[[nodiscard]] constexpr std::string_view name_of(RefusalStage stage) {
  switch (stage) {
    case RefusalStage::arguments: return "arguments";
    case RefusalStage::resolution: return "resolution";
    case RefusalStage::model: return "model";
    case RefusalStage::capture: return "capture";
  }
  return "arguments";
}

// The engine refuses the launch by its own word.
struct Refusal {
  RefusalStage stage = RefusalStage::arguments;
  std::string rule;                 // file and function of the engine, "server_args.py::check_..."
  std::optional<std::string> text;  // the engine's own message; none where it dies without one
  std::string hint;                 // the way out
};

}  // namespace capsize
