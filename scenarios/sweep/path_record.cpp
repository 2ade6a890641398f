#include "scenarios/sweep/path_record.hpp"

#include <algorithm>

namespace capsize {
namespace {

// The text with N for its numbers: one precondition, whatever sizes it was met at. Digits inside a
// name ("moe_a2a_backend") stay.
std::string with_numbers_left_out(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_name = [&](char c) {
    return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && is_name(text[end])) ++end;
    const std::string_view word = text.substr(at, end - at);
    if (!word.empty() && std::ranges::all_of(word, is_digit)) {
      out += 'N';
    } else {
      out.append(word);
    }
    if (end < text.size()) out += text[end];
    at = end + 1;
  }
  return out;
}

std::int64_t size_of(const Witness& witness) { return witness.requests.value_or(witness.tokens); }

}  // namespace

std::uint64_t hash_of_removal(std::string_view precondition) {
  return ContentHash().add("removed").add(precondition).value();
}

// How a refusal is told as a precondition: where it stands, and what the engine says.
std::string text_of(const Refusal& refusal) {
  std::string text(name_of(refusal.stage));
  text.append(": ").append(refusal.rule).append(": ");
  if (!refusal.text) return text + "dies without a message";
  return text + with_numbers_left_out(*refusal.text);
}

// The same for a number that capsize cannot hold.
std::string text_of(const Error& error) {
  return "cannot be read: " + error.where + ": " + with_numbers_left_out(error.text);
}

std::string text_of(const Constraint& constraint) { return "constraint: " + constraint.why; }

void add_finding(PathRecord& record, std::size_t law, const Finding& finding) {
  record.set(law, finding.verdict, finding.witness ? size_of(*finding.witness) : 0);
}

void add_lost(PathRecord& record, std::span<const LostSize> lost) {
  for (const LostSize& size : lost) {
    ++record.lost;
    record.waste += size.usable ? 1 : 0;
    record.padded += static_cast<std::uint64_t>(size.padded_tokens);
  }
}

}  // namespace capsize
