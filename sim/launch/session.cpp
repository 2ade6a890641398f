// Variables, notes, budgets and places of one reading; session.hpp says what they are for.
#include "sim/launch/session.hpp"

#include <algorithm>

namespace capsize::launch {
namespace {

// Names are kept in order and searched one by one; no launch sets more of them than this.
constexpr std::size_t kMostNames = 1024;

}  // namespace

Place Locator::count_to(std::size_t offset) {
  if (fixed_.line != 0) return fixed_;
  offset = std::min(offset, text_.size());
  if (cursor_.line == 0 || offset < offset_) {
    offset_ = 0;
    index_ = 0;
    cursor_ = lines_.empty() ? Place{1, 1} : Place{lines_[0].line, lines_[0].column};
  }
  for (; offset_ < offset; ++offset_) {
    const char c = text_[offset_];
    if (c == '\n') {
      ++index_;
      cursor_ = index_ < lines_.size() ? Place{lines_[index_].line, lines_[index_].column}
                                       : Place{cursor_.line + 1, 1};
    } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) {
      ++cursor_.column;
    }
  }
  return cursor_;
}

void Notes::once(Remark kind, std::string text) {
  if (made(kind)) return;
  mask_ |= bit(kind);
  kept_.emplace_back(kind, std::move(text));
}

void Notes::roll_back(std::size_t mark) {
  while (kept_.size() > mark) {
    mask_ &= ~bit(kept_.back().first);
    kept_.pop_back();
  }
}

std::vector<std::string> Notes::take() {
  std::vector<std::string> texts;
  texts.reserve(kept_.size());
  for (auto& [kind, text] : kept_) texts.push_back(std::move(text));
  kept_.clear();
  return texts;
}

bool Session::charge(std::size_t bytes) {
  if (bytes > budget_) exhausted_ = true;
  budget_ -= std::min(bytes, budget_);
  return !exhausted_;
}

bool Session::charge_expansion(std::size_t bytes) {
  if (bytes > expansion_budget_) exhausted_ = true;
  expansion_budget_ -= std::min(bytes, expansion_budget_);
  return !exhausted_;
}

const Variable* Session::find(std::string_view name) {
  if (variables_.empty()) return nullptr;
  const auto it = variables_.find(name);
  if (it == variables_.end()) return nullptr;
  if (it->second.in_front) {
    notes.once(Remark::prefix_value_taken,
               it->first + " is set in front of the command that uses it: a shell would fill in " +
                   "what it held before; \"" + it->second.value + "\" was taken");
  }
  return &it->second;
}

void Session::assign_in_front(std::string_view name, std::string_view value, bool known) {
  if (!charge_expansion(value.size())) return;
  Variable variable;
  variable.value = value;
  variable.known = known;
  variable.in_front = true;
  const auto it = variables_.find(name);
  if (it == variables_.end()) {
    variables_.emplace(std::string(name), std::move(variable));
    in_front_.emplace_back(name);
  } else if (it->second.in_front) {
    it->second = std::move(variable);
  }
}

void Session::forget_in_front() {
  for (const std::string& name : in_front_) {
    const auto it = variables_.find(name);
    if (it != variables_.end() && it->second.in_front) variables_.erase(it);
  }
  in_front_.clear();
}

void Session::assign(std::string_view name, Variable value, bool certain) {
  const auto it = variables_.find(name);
  if (it == variables_.end() || it->second.in_front) {
    value.known = value.known && certain;
    variables_.insert_or_assign(std::string(name), std::move(value));
    return;
  }
  // A branch that may or may not run leaves the value known only if it changes nothing.
  if (!certain && it->second.value != value.value) value.known = false;
  it->second = std::move(value);
}

void Session::append(std::string_view name, const Variable& more, bool certain) {
  const auto before = variables_.find(name);
  Variable sum =
      before == variables_.end() || before->second.in_front ? Variable{} : before->second;
  if (!charge_expansion(sum.value.size() + sum.items.size() * sizeof(Word))) return;
  sum.value += more.value;
  sum.items.insert(sum.items.end(), more.items.begin(), more.items.end());
  sum.is_array = sum.is_array || more.is_array;
  sum.known = sum.known && more.known && certain;
  variables_.insert_or_assign(std::string(name), std::move(sum));
}

void Session::export_name(std::string_view name) {
  if (exported_.size() >= kMostNames) return;
  if (std::find(exported_.begin(), exported_.end(), name) == exported_.end()) {
    exported_.emplace_back(name);
  }
}

std::vector<EnvironmentVariable> Session::exported() {
  std::vector<EnvironmentVariable> environment;
  environment.reserve(exported_.size());
  for (const std::string& name : exported_) {
    const Variable* variable = find(name);
    if (variable != nullptr) environment.push_back({name, variable->value, variable->known});
  }
  return environment;
}

std::string place_text(Place place) {
  return "line " + std::to_string(place.line) + ", column " + std::to_string(place.column);
}

std::size_t identifier_length(std::string_view text) {
  if (text.empty() || !(is_letter(text[0]) || text[0] == '_')) return 0;
  std::size_t length = 1;
  while (length < text.size() && is_name(text[length])) ++length;
  return length;
}

void set_environment(std::vector<EnvironmentVariable>& environment, std::string_view name,
                     std::string_view value, bool known) {
  for (EnvironmentVariable& variable : environment) {
    if (variable.name != name) continue;
    variable.value = value;
    variable.known = known;
    return;
  }
  if (environment.size() >= kMostNames) return;
  environment.push_back({std::string(name), std::string(value), known});
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace capsize::launch
