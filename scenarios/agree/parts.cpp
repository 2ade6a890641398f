#include "scenarios/agree/parts.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace capsize {
namespace {

// What is dealt as one: a lifecycle with all members that execute it, or a member that executes
// nothing.
struct Share {
  std::vector<std::size_t> members;  // places in the plan
  std::uint64_t weight = 1;          // looking at a member costs something, too
};

std::vector<Share> shares_of(const AgreePlan& plan, const RankBounds& ranks) {
  std::vector<Share> out(plan.jobs.size());
  for (std::size_t place = 0; place < plan.members.size(); ++place) {
    const AgreeMember& member = plan.members[place];
    if (!ranks.hold(member)) continue;
    const bool runs = member.fate == MemberFate::executed;
    Share& share = runs ? out[member.job] : out.emplace_back();
    if (runs && share.members.empty()) share.weight += member.weight;
    share.members.push_back(place);
  }
  std::erase_if(out, [](const Share& share) { return share.members.empty(); });
  std::ranges::stable_sort(out, std::ranges::greater{}, &Share::weight);
  return out;
}

bool read_number(std::string_view text, std::size_t& out) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && stop == end && !text.empty();
}

}  // namespace

bool RankBounds::hold(const AgreeMember& member) const {
  const bool runs = member.fate == MemberFate::executed;
  if (!runs) return !at_most;
  return member.ranks >= at_least && (!at_most || member.ranks <= *at_most);
}

Result<AgreePart> parse_part(std::string_view text) {
  AgreePart out;
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !read_number(text.substr(0, slash), out.number) ||
      !read_number(text.substr(slash + 1), out.of) || out.number < 1 || out.number > out.of ||
      out.of > kPartsMax) {
    return tl::unexpected(
        Error{"--part", "\"" + std::string(text) + "\" names no part",
              "K/N with K from 1 to N and N at most " + std::to_string(kPartsMax) + ", like 2/4"});
  }
  return out;
}

std::vector<std::size_t> parts_of(const AgreePlan& plan, const RankBounds& ranks,
                                  std::size_t count) {
  std::vector<std::size_t> out(plan.members.size(), kPartsMax);
  std::vector<std::uint64_t> weights(count, 0);
  for (const Share& share : shares_of(plan, ranks)) {
    const auto lightest = std::ranges::min_element(weights);
    *lightest += share.weight;
    const auto part = static_cast<std::size_t>(lightest - weights.begin());
    for (const std::size_t place : share.members) out[place] = part;
  }
  return out;
}

std::vector<PartSize> sizes_of_parts(const AgreePlan& plan, const std::vector<std::size_t>& parts,
                                     std::size_t count) {
  std::vector<PartSize> out(count);
  std::vector<bool> counted(plan.jobs.size(), false);
  for (std::size_t place = 0; place < parts.size(); ++place) {
    if (parts[place] >= count) continue;
    const AgreeMember& member = plan.members[place];
    PartSize& size = out[parts[place]];
    ++size.members;
    if (member.fate != MemberFate::executed) continue;
    ++size.executed;
    if (counted[member.job]) continue;
    counted[member.job] = true;
    ++size.jobs;
    size.weight += member.weight;
  }
  return out;
}

void keep_part(AgreePlan& plan, const AgreePart& part) {
  const std::vector<std::size_t> parts = parts_of(plan, part.ranks, part.of);
  AgreePlan kept;
  std::vector<std::size_t> new_jobs(plan.jobs.size(), plan.jobs.size());
  for (std::size_t place = 0; place < plan.members.size(); ++place) {
    if (parts[place] != part.number - 1) continue;
    AgreeMember& member = plan.members[place];
    if (member.fate == MemberFate::executed) {
      std::size_t& job = new_jobs[member.job];
      if (job == plan.jobs.size()) {
        job = kept.jobs.size();
        kept.jobs.push_back(kept.members.size());
      }
      member.job = job;
    }
    kept.members.push_back(std::move(member));
  }
  plan = std::move(kept);
}

}  // namespace capsize
