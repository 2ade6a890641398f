// What a sweep says of a universe, as a document: which members were looked at, how each ended, and
// a digest by which two runs are compared. A part (a shard, a checkpoint) is the same document with
// everything in it that merging needs. schemas/certificate.schema.json states the fields.
//
//   Certificate certificate = empty_certificate(universe, where, "capsize 0.1.0 (3f2a9c81d0aa)");
//   ... run_sweep(..., certificate.state) ...
//   write_certificate(certificate)         // reads back equal
//   merge(parts)                           // as one run would have said it
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/check/check.hpp"
#include "scenarios/sweep/runner.hpp"
#include "sim/condition.hpp"
#include "sim/error.hpp"
#include "sim/universe.hpp"

namespace capsize {

// How a certificate came about: nothing of it is compared.
struct SweepRun {
  std::uint64_t threads = 0;
  std::uint64_t ranks = 1;
  std::uint64_t members = 0;  // judged by this run, without those of a checkpoint
  double seconds = 0;         // of the slowest of its parts
  // The machine's threads together, while they judged; 0 where nothing was judged.
  [[nodiscard]] std::uint64_t members_a_second() const;
};

struct Certificate {
  Universe universe;    // name, title, engine, members, digest; axes with the names of their values
  std::string where;    // the text of --where; empty: all members
  std::string program;  // "capsize 0.1.0 (3f2a9c81d0aa)"
  std::vector<std::string> laws;  // names, in the order of sweep_laws()
  std::optional<Shard> shard;     // the part that the run was asked for; none: all of it
  SweepState state;
  SweepRun run;
  // How many distinct steps and triples were met. A complete certificate that was read back has no
  // hashes to count.
  std::uint64_t layouts = 0;
  std::uint64_t triples = 0;

  [[nodiscard]] MemberRange range() const;  // of the shard
  [[nodiscard]] bool complete() const;      // every member of the universe is done
  [[nodiscard]] bool finished() const;      // every member of the shard is done
  void count_distinct();                    // from the tally's hashes
  // "tp 8, attn_cp 2, rules 23972".
  [[nodiscard]] std::string text_of_member(std::uint64_t number) const;
};

// Nothing done yet.
[[nodiscard]] Certificate empty_certificate(const Universe& universe,
                                            const std::optional<Condition>& where,
                                            std::string_view program);

// ---- what it says -------------------------------------------------------------------------------

// The members that break a law on one path.
struct PathFailures {
  std::string path;
  std::uint64_t members = 0;
  std::uint64_t first = 0;
};

// One law under one rules label, over all members that were judged.
struct LawCount {
  std::size_t law = 0;      // index into Certificate::laws
  std::uint16_t rules = 0;  // index on the axis `rules`
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t undecided = 0;
  std::uint64_t not_applicable = 0;
  std::optional<std::uint64_t> first_failure;
  std::vector<PathFailures> failed_on;  // in the order of the paths; a member may fail on several
};

struct RemovedCount {
  std::string why;
  std::uint64_t members = 0;
  std::uint64_t first = 0;
};

struct GraphCount {
  std::string path;
  std::uint16_t rules = 0;
  std::uint64_t members = 0;  // judged, and this path has graphs
};

struct SweepSummary {
  std::uint64_t removed = 0;
  std::uint64_t judged = 0;    // the three below together
  std::uint64_t violated = 0;  // some law is broken
  std::uint64_t passed = 0;    // some law passes, none is broken or undecided
  std::uint64_t undecided = 0;
  std::vector<LawCount> laws;               // by law, then by rules
  std::vector<RemovedCount> preconditions;  // by their first member
  std::vector<GraphCount> graphs;           // by path, then by rules
  Verdict verdict = Verdict::undecided;
};

// A law's verdict for a member: violation where a path violates it, else undecided where it is
// undecided on a path, else pass where a path passes, else not applicable.
[[nodiscard]] LawVerdict verdict_over_paths(const MemberState& state, std::size_t law);

[[nodiscard]] SweepSummary summary_of(const Certificate& certificate);
// The labels of the axis `rules`; one empty label where there is no such axis.
[[nodiscard]] std::vector<std::string> rules_of(const Universe& universe);

// ---- the document -------------------------------------------------------------------------------

// One JSON object, a line for each part of it. With `hashes` left out it can still be read, but not
// be merged; they are always left out where the certificate is complete.
[[nodiscard]] std::string write_certificate(const Certificate& certificate);

// Refuses what does not fit together: everything that can be derived is derived again and compared,
// and a hash of the whole shows any other change.
[[nodiscard]] Result<Certificate> read_certificate(std::string_view text);

// Whether two certificates say the same; how they came about is not compared.
[[nodiscard]] bool same(const Certificate& a, const Certificate& b);

struct NamedCertificate {
  std::string name;  // its file, for messages
  Certificate certificate;
};

// Fails where two were not made of the same universe, condition and program, where a member is in
// two of them, and where one is in none.
[[nodiscard]] Result<Certificate> merge(std::span<const NamedCertificate> parts);

// Why `part` does not continue or complete `whole`: another universe, condition, program or laws.
[[nodiscard]] std::optional<Error> differs_from(const Certificate& part, const Certificate& whole);

// 16 hexadecimal digits.
[[nodiscard]] std::string hex_of(std::uint64_t number);

}  // namespace capsize
