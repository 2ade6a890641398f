// What stands around a command in pasted text: typography, diff and quote marks, code fences, and
// the lists in which YAML, JSON, Python and Dockerfiles write a command. Internal to sim/launch.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/launch/session.hpp"

namespace capsize::launch {

// Text with typographic characters made plain and line marks taken off; `lines` says where each of
// its lines stood.
struct CleanText {
  std::string text;
  std::vector<LineStart> lines;
};

// With `uncomment`, a '#' at the start of a line is taken for a root prompt and left out.
[[nodiscard]] CleanText clean(Notes& notes, std::string_view text, bool uncomment);

// One value of a list, or a whole text value.
struct Scalar {
  std::string text;
  std::size_t offset = 0;
  bool quoted = false;
};

// What stands behind one key: a list of words, or one text that is still to be split.
struct Node {
  std::vector<Scalar> items;
  bool is_list = false;
};

// The parts of one container of a YAML, JSON or Docker file; or one bare list, as `command`.
struct Container {
  Node entrypoint;
  Node command;
  Node args;
  std::vector<std::pair<std::string, std::string>> environment;
  std::optional<std::string> image;
  std::size_t begin = 0;
  bool expressions = false;  // unquoted items are code of the program that the list stands in
};

// Every container that `text` (cleaned) spells out, in order.
[[nodiscard]] std::vector<Container> read_containers(Session& session, std::string_view text);

// Reads `[a, "b", 'c']` whose bracket stands at `open`; gives the offset behind it, npos when it is
// no flat list.
[[nodiscard]] std::size_t read_flow_list(Session& session, std::string_view text, std::size_t open,
                                         std::vector<Scalar>& items);

// Every flow list in `text`, gathered by the keys in front of them.
[[nodiscard]] std::vector<Container> read_flow_lists(Session& session, std::string_view text);

}  // namespace capsize::launch
