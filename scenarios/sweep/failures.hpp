// The smallest failures of a sweep as scenario files: each is the launch line of one member with
// what a check says of it, so that `capsize scenarios run` finds it to hold.
#pragma once

#include <string>
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

// Writes each as FOLDER/<id>.json and returns the paths. The folder is made where it is missing.
[[nodiscard]] Result<std::vector<std::string>> write_failures(
    const std::string& folder, const std::vector<Scenario>& failures);

}  // namespace capsize
