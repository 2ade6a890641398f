// The result of a check as JSON (one object, one line). The field names are a public format:
// schemas/check-result.schema.json states them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "scenarios/check/check.hpp"

namespace capsize {

// `id_json` is the JSON text of a batch request's id, put first where there is one.
[[nodiscard]] std::string to_json(const CheckResult& result, std::string_view id_json = {});

}  // namespace capsize
