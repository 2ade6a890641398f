// The model protocol: one JSON object a line in, one a line out. A line asks one function of an
// engine for its answer, so that our model and a live implementation can be asked the same things.
//
//   auto protocol = ModelProtocol::of("sglang", "23972");
//   protocol->answer(R"({"id": 1, "fn": "prefill_filter", "sizes": [4, 8], "attn_tp": 8,
//                        "attn_cp": 1, "gathered": true})").json
//     == R"({"id":1,"kept":[8]})"
//
// Functions of sglang: groups, default_sizes, prefill_filter, decode_filter, predicates,
// communicator. Only prefill_filter depends on the rules. Replies, each behind the request's id:
//   "refused": "<text>"          the engine asserts; its own text
//   "unsupported": "<fn>"        no such function
//   "error": {where, text, hint} the request cannot be read, or its sizes are beyond capsize
// The id is any JSON value and comes back as it was given. It is null where the request has none
// and where the line is not JSON, so that none can be read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "sim/engines/sglang/history.hpp"
#include "sim/error.hpp"

namespace capsize {

// A longer line is answered with an error.
inline constexpr std::size_t kModelLineBytes = std::size_t{4} << 20;

struct ModelAnswer {
  std::string json;          // one line, without its end
  bool bad_request = false;  // the reply is an "error"
};

class ModelProtocol {
 public:
  // Fails on an engine or rules that are not known, with `where` the option that names them. No
  // rules: those of the newest release, as for a check.
  [[nodiscard]] static Result<ModelProtocol> of(std::string_view engine, std::string_view rules);

  // Never fails: what cannot be answered is an answer that says so. Unknown fields and duplicate
  // keys are errors with the field's path. A field that may be null may be left out.
  [[nodiscard]] ModelAnswer answer(std::string_view line) const;

 private:
  explicit ModelProtocol(sglang::Version version) : version_(version) {}

  sglang::Version version_;
};

}  // namespace capsize
