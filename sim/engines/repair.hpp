// A change to a launch line that may mend a broken law. Engines propose; whoever checks tries each
// proposal before it is told to anyone.
#pragma once

#include <string>
#include <vector>

namespace capsize {

struct RepairProposal {
  std::string text;                 // "capture 8, 16, 24 ... only"
  std::vector<std::string> add;     // words appended to the line
  std::vector<std::string> remove;  // options taken off the line, with their values
};

}  // namespace capsize
