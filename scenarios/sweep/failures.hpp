// The smallest failures of a sweep as scenario files: each is the launch line of one member with
// what a check says of it, so that `capsize scenarios run` finds it to hold.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scenarios/formats/scenario.hpp"
#include "scenarios/sweep/certificate.hpp"
#include "sim/error.hpp"

namespace capsize {

// One for each law, rules label and path on which a member fails: sweep-UNIVERSE-LAW-RULES is the
// smallest of all paths, those of other paths have the path behind it. And one for each label under
// which the engine refuses a member because its filter leaves no size. Fails where a check of a
// member does not find what the sweep did: that is a fault of capsize.
[[nodiscard]] Result<std::vector<Scenario>> failures_of(const Universe& universe,
                                                        const Certificate& certificate);

// Makes the folder where it is missing; fails where nothing can be written to it.
[[nodiscard]] Result<void> make_failures_folder(const std::string& folder);

struct WrittenFailures {
  std::vector<std::string> files;
  std::size_t removed = 0;  // scenarios of the same universe that an earlier run wrote
};

// What the ids of a sweep's failures begin with.
inline constexpr std::string_view kSweepPrefix = "sweep-";

// Writes each as FOLDER/<id>.json; all ids begin with the prefix and the universe's name. What an
// earlier run over the same universe left there under the prefix and this one did not write again
// is removed: it would be run as if it had been found now.
[[nodiscard]] Result<WrittenFailures> write_failures(const std::string& folder,
                                                     std::string_view prefix,
                                                     const Universe& universe,
                                                     const std::vector<Scenario>& failures);

}  // namespace capsize
