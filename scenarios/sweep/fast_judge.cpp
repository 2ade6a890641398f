// The fast way splits a universe's axes in two: those behind the last axis that changes more than
// lists of sizes form a block, and a block shares its layout. What a path reads of a layout and of
// its lists has a number each (member_planner.hpp); what the laws say of a path is found once for
// each pair of numbers.
#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "properties/coverage.hpp"
#include "properties/set_case.hpp"
#include "scenarios/sweep/judges.hpp"
#include "scenarios/sweep/path_record.hpp"
#include "sim/content_hash.hpp"

namespace capsize {
namespace {

// ---- the laws on one path -----------------------------------------------------------------------

// By the laws themselves: for paths that have no form as sets.
PathRecord judged_by_laws(CapturePath path) {
  PathRecord record{.graphs = path.enabled};
  std::vector<std::vector<LostSize>> lost(1);
  if (path.enabled && path.undecided.empty()) lost[0] = lost_sizes(path);
  add_lost(record, lost[0]);
  CapturePlan plan;
  plan.paths.push_back(std::move(path));
  const StartUp start_up;
  const Subject subject{plan, start_up, false, lost};
  const auto laws = sweep_laws();
  for (std::size_t law = 0; law < laws.size(); ++law) {
    if (laws[law]->check_path == nullptr) continue;
    auto none = not_judged(*laws[law], plan.paths[0]);
    add_finding(record, law,
                none ? *std::move(none) : laws[law]->check_path(subject, plan.paths[0]));
  }
  return record;
}

// The place of each law with a form over sets among the columns of a sweep.
const std::vector<std::size_t>& columns_of_set_laws() {
  static const std::vector<std::size_t> columns = [] {
    std::vector<std::size_t> out;
    for (const Law* law : set_laws()) {
      out.push_back(
          static_cast<std::size_t>(std::ranges::find(sweep_laws(), law) - sweep_laws().begin()));
    }
    return out;
  }();
  return columns;
}

PathRecord judged_as_sets(const CapturePath& path, const SetCase& in) {
  PathRecord record{.graphs = path.enabled};
  record.lost = static_cast<std::uint64_t>(in.lost.count());
  record.waste = static_cast<std::uint64_t>(wasted(in).count());
  record.padded = static_cast<std::uint64_t>(padded_tokens(in));
  std::array<SetFinding, kSweepLaws> findings;
  judge_sets(in, findings);
  const auto& columns = columns_of_set_laws();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    record.set(columns[i], findings.at(i).verdict, findings.at(i).size);
  }
  return record;
}

PathRecord judged(CapturePath path) {
  SetStorage storage;
  if (const auto in = set_case_of(path, storage, false)) return judged_as_sets(path, *in);
  return judged_by_laws(std::move(path));
}

PathRecord judged(const EagerPath& path) {
  PathRecord record;
  const CapturePlan plan;
  const StartUp start_up;
  const auto laws = sweep_laws();
  for (std::size_t law = 0; law < laws.size(); ++law) {
    if (laws[law]->check_eager == nullptr) continue;
    add_finding(record, law, laws[law]->check_eager({plan, start_up}, path));
  }
  return record;
}

std::uint64_t triple_of(const PlannedPath& planned) {
  ContentHash hash;
  hash.add(planned.path.name).add(planned.filter_key).add(planned.usable_key);
  for (const std::int64_t size : planned.path.candidates) hash.add(size);
  return hash.value();
}

// What is remembered of a path with one set of lists.
struct PathOutcome {
  std::optional<std::string> refusal;
  PathRecord capture;
  PathRecord eager;
  std::uint64_t hash = 0;               // of both records, or of the refusal
  std::optional<std::uint64_t> triple;  // where the path has graphs that can be judged
};

PathOutcome outcome_of(std::size_t path, PlannedPath planned) {
  PathOutcome out;
  if (planned.refusal) {
    out.refusal = text_of(*planned.refusal);
    out.hash = hash_of_removal(*out.refusal);
    return out;
  }
  const bool judged_path = planned.path.enabled && planned.path.undecided.empty();
  if (judged_path) out.triple = triple_of(planned);
  if (planned.eager) out.eager = judged(*planned.eager);
  out.capture = judged(std::move(planned.path));
  out.hash = out.capture.hash(path) + out.eager.hash(eager_slot(path));
  return out;
}

// ---- blocks -------------------------------------------------------------------------------------

// The lists of a block: for each of its members (by its place in the block) what the paths read.
struct BlockLists {
  struct Path {
    std::vector<std::uint32_t> lists;     // the distinct ones, as the planner numbers them
    std::vector<std::uint32_t> of_place;  // index into `lists`
    friend bool operator==(const Path&, const Path&) = default;
  };
  std::array<Path, kCapturePaths> paths;
  std::vector<std::string>
      removed;           // by place: why the words are refused; empty where they are not
  bool removes = false;  // some are
  friend bool operator==(const BlockLists&, const BlockLists&) = default;
};

// Everything that is said of one path of one layout, for each of the distinct lists of a block.
struct PathRow {
  std::vector<PathOutcome> outcomes;
  std::vector<std::uint64_t> hashes;  // of the outcomes; of the refusal where the list is refused
  std::vector<std::uint8_t> refused;  // by list
  std::vector<std::uint32_t> kinds;   // equal where verdicts, graphs and refusal are equal
  std::vector<std::uint64_t> met_in;  // the run in which the triple was last told
  std::uint32_t kind_count = 0;
  bool removes = false;  // some list is refused
};

// Members of a block that end in one state.
struct Group {
  MemberState state;
  const std::string* removed_by = nullptr;
  std::uint64_t members = 0;
  std::uint64_t first = 0;  // place in the block
};

// What whole blocks of one layout add to a tally, but for the digest.
struct BlockSummary {
  std::vector<Group> groups;
  SweepSums sums;
  std::array<std::vector<std::uint32_t>, kCapturePaths> met;  // lists of judged members
};

class FastJudge final : public MemberJudge {
 public:
  FastJudge(const Universe& universe, const Engine& engine, std::optional<Condition> where)
      : universe_(universe),
        engine_(engine),
        where_(std::move(where)),
        rules_axis_(universe.axis("rules")),
        planner_(engine.member_planner()),
        choices_(universe.axes.size()) {
    launch_.rules = engine.newest;
    launch_.gpu = gpu_of("H100").value();
    launch_.find_model = [this](std::string_view name) {
      if (const UniverseModel* model = model_of(universe_, name)) {
        return ModelChoice{&model->shape, false};
      }
      if (const ModelShape* model = find_model(name)) return ModelChoice{model, false};
      return ModelChoice{&engine_.stand_ins()[0], true};  // a line without a model is refused
    };
    split_axes();
  }

  void run(std::uint64_t first, std::uint64_t last, Tally& tally) override {
    ++run_;
    tally.paths = names_of_paths(*planner_);
    while (first < last) {
      const std::uint64_t block = first - first % block_members_;
      const std::uint64_t end = std::min(last, block + block_members_);
      run_block(block, first - block, end - block, tally);
      first = end;
    }
  }

 private:
  [[nodiscard]] bool changes_lists_only(const Axis& axis) const {
    if (axis.name == "rules" || axis.name == "model") return false;
    return std::ranges::all_of(axis.values, [&](const AxisValue& value) {
      return words_of_lists(value.words).size() == value.words.size();
    });
  }

  // The options that shape lists, with their values; `others` gets the rest.
  std::vector<std::string> words_of_lists(std::span<const std::string> words,
                                          std::vector<std::string>* others = nullptr) const {
    std::vector<std::string> out;
    bool lists = false;
    for (const std::string& word : words) {
      if (word.starts_with("--")) lists = planner_->shapes_lists_only(word);
      if (lists) out.push_back(word);
      if (!lists && others != nullptr) others->push_back(word);
    }
    return out;
  }

  void split_axes() {
    block_axis_ = universe_.axes.size();
    while (block_axis_ > 0 && changes_lists_only(universe_.axes[block_axis_ - 1])) {
      block_members_ *= universe_.axes[--block_axis_].values.size();
    }
    // A block is held in memory; more lists than this are walked as layouts.
    constexpr std::uint64_t kMostMembers = 1 << 16;
    while (block_members_ > kMostMembers) {
      block_members_ /= universe_.axes[block_axis_++].values.size();
    }
    const auto of_block = [this](const Condition& condition) {
      return !condition.axes().empty() && condition.axes().back() >= block_axis_;
    };
    by_place_ = where_ && of_block(*where_);
    for (const Constraint& constraint : universe_.constraints) {
      by_place_ |= of_block(constraint.condition);
    }
  }

  // Why a member is in no state of the engine: left out, or removed by a constraint.
  struct Outside {
    bool left_out = false;
    const Constraint* constraint = nullptr;
  };
  [[nodiscard]] Outside outside(std::span<const std::int32_t> choices) const {
    if (where_ && !where_->holds(choices)) return {.left_out = true};
    for (const Constraint& constraint : universe_.constraints) {
      if (!constraint.condition.holds(choices)) return {.constraint = &constraint};
    }
    return {};
  }

  // Members [first, last) of the block that begins at number `block`.
  void run_block(std::uint64_t block, std::uint64_t first, std::uint64_t last, Tally& tally) {
    forget_if_much();
    universe_.unrank(block, choices_);
    rules_ = rules_axis_ ? static_cast<std::uint16_t>(choices_[*rules_axis_]) : std::uint16_t{0};
    if (!by_place_) {
      const Outside out = outside(choices_);
      if (out.left_out) {
        tally.left_out += last - first;
        return;
      }
      if (out.constraint != nullptr) {
        return remove(text_of(*out.constraint), block, first, last, tally);
      }
    }
    const std::string name = rules_of(universe_, choices_);
    launch_.rules = name;
    const BlockLists& lists = lists_of_block();
    std::array<PathRow*, kCapturePaths> rows{};
    std::string removed;
    Result<MemberLayout> layout = layout_of_block();
    if (!layout) {
      removed = text_of(layout.error());
      layout = MemberLayout{};
    }
    if (layout->refusal) removed = text_of(*layout->refusal);
    for (std::size_t path = 0; path < layout->paths.size(); ++path) {
      rows.at(path) = &row_of(path, layout->paths[path], lists.paths.at(path));
    }
    const bool whole = first == 0 && last == block_members_ && !by_place_;
    if (!removed.empty() && whole && !lists.removes) {
      return remove(removed, block, first, last, tally);
    }
    const bool has_rows = layout->paths.size() == kCapturePaths;  // none where it is undecided
    if (!removed.empty() || !whole || lists.removes || !has_rows) {
      return run_places(*layout, lists, rows, removed, block, first, last, tally);
    }
    add_whole(*layout, lists, rows, block, tally);
  }

  void remove(const std::string& why, std::uint64_t block, std::uint64_t first, std::uint64_t last,
              Tally& tally) {
    if (why != last_removed_by_) {  // most blocks are removed by what removed the one before
      last_removed_by_ = why;
      last_removal_ = hash_of_removal(why);
    }
    MemberState state{.rules = rules_, .removed = tally.precondition(why)};
    tally.count(state, last - first, block + first);
    std::uint64_t digest = 0;
    for (std::uint64_t number = block + first; number < block + last; ++number) {
      digest += member_digest(number, last_removal_);
    }
    tally.sums.digest += digest;
  }

  // ---- one place after the other: parts of blocks, and conditions that read lists ------------

  void run_places(const MemberLayout& layout, const BlockLists& lists,
                  const std::array<PathRow*, kCapturePaths>& rows, const std::string& removed,
                  std::uint64_t block, std::uint64_t first, std::uint64_t last, Tally& tally) {
    for (std::uint64_t place = first; place < last; ++place) {
      if (by_place_) {
        universe_.unrank(block + place, choices_);
        const Outside out = outside(choices_);
        if (out.left_out) {
          ++tally.left_out;
          continue;
        }
        if (out.constraint != nullptr) {
          remove(text_of(*out.constraint), block, place, place + 1, tally);
          continue;
        }
      }
      if (!lists.removed[place].empty()) {
        remove(removal_of_line(block + place, lists.removed[place]), block, place, place + 1,
               tally);
        continue;
      }
      const std::string* why = removed.empty() ? removal(lists, rows, place) : &removed;
      if (why != nullptr) {
        remove(*why, block, place, place + 1, tally);
        continue;
      }
      add_place(layout, lists, rows, block, place, tally);
    }
  }

  // Where the words of lists are refused, so may be others of the line; the engine's parser names
  // what it meets first.
  std::string removal_of_line(std::uint64_t number, const std::string& of_lists) {
    std::vector<std::int32_t> choices(universe_.axes.size());
    universe_.unrank(number, choices);
    std::vector<Word> words;
    for (std::string& word : universe_.words_of(choices)) {
      words.push_back(Word{.text = std::move(word)});
    }
    launch_.words = words;
    const auto whole = planner_->layout(launch_);
    if (!whole) return text_of(whole.error());
    return whole->refusal ? text_of(*whole->refusal) : of_lists;
  }

  // Why a filter leaves the member at `place` without a size; none where none does.
  [[nodiscard]] const std::string* removal(const BlockLists& lists,
                                           const std::array<PathRow*, kCapturePaths>& rows,
                                           std::uint64_t place) const {
    for (const std::size_t path : planner_->capture_order()) {
      if (rows.at(path) == nullptr) continue;
      const PathOutcome& outcome = rows.at(path)->outcomes[lists.paths.at(path).of_place[place]];
      if (outcome.refusal) return &*outcome.refusal;
    }
    return nullptr;
  }

  [[nodiscard]] MemberState state_of(const BlockLists& lists,
                                     const std::array<PathRow*, kCapturePaths>& rows,
                                     std::uint64_t place) const {
    MemberState state{.rules = rules_};
    for (std::size_t path = 0; path < kCapturePaths; ++path) {
      if (rows.at(path) == nullptr) continue;
      const PathOutcome& outcome = rows.at(path)->outcomes[lists.paths.at(path).of_place[place]];
      state.paths.at(path) = outcome.capture.verdicts;
      state.paths.at(eager_slot(path)) = outcome.eager.verdicts;
      state.graphs |= outcome.capture.graphs ? 1U << path : 0U;
    }
    return state;
  }

  void add_place(const MemberLayout& layout, const BlockLists& lists,
                 const std::array<PathRow*, kCapturePaths>& rows, std::uint64_t block,
                 std::uint64_t place, Tally& tally) {
    tally.count(state_of(lists, rows, place), 1, block + place);
    tally.layouts.insert(layout.steps.begin(), layout.steps.end());
    std::uint64_t hash = 0;
    for (std::size_t path = 0; path < kCapturePaths; ++path) {
      if (rows.at(path) == nullptr) continue;
      const std::uint32_t list = lists.paths.at(path).of_place[place];
      tally.sums += rows.at(path)->outcomes[list].capture.costs();
      hash += rows.at(path)->hashes[list];
      meet(*rows.at(path), list, tally);
    }
    tally.sums.digest += member_digest(block + place, hash);
  }

  void meet(PathRow& row, std::uint32_t list, Tally& tally) const {
    if (std::exchange(row.met_in[list], run_) == run_) return;
    if (row.outcomes[list].triple) tally.triples.insert(*row.outcomes[list].triple);
  }

  // ---- whole blocks ----------------------------------------------------------------------------

  void add_whole(const MemberLayout& layout, const BlockLists& lists,
                 const std::array<PathRow*, kCapturePaths>& rows, std::uint64_t block,
                 Tally& tally) {
    const BlockSummary& summary = summary_of(lists, rows);
    bool judged = false;
    for (const Group& group : summary.groups) {
      MemberState state = group.state;
      if (group.removed_by != nullptr) state.removed = tally.precondition(*group.removed_by);
      judged |= group.removed_by == nullptr;
      tally.count(state, group.members, block + group.first);
    }
    tally.sums += summary.sums;
    if (judged) tally.layouts.insert(layout.steps.begin(), layout.steps.end());
    for (std::size_t path = 0; path < kCapturePaths; ++path) {
      for (const std::uint32_t list : summary.met.at(path)) meet(*rows.at(path), list, tally);
    }
    tally.sums.digest += digest_of_block(lists, rows, block);
  }

  // The one thing that is done for each member by itself.
  std::uint64_t digest_of_block(const BlockLists& lists,
                                const std::array<PathRow*, kCapturePaths>& rows,
                                std::uint64_t block) const {
    const PathRow& a = *rows[0];
    const PathRow& b = *rows[1];
    const std::uint32_t* of_a = lists.paths[0].of_place.data();
    const std::uint32_t* of_b = lists.paths[1].of_place.data();
    std::uint64_t digest = 0;
    if (!a.removes && !b.removes) {
      for (std::uint64_t place = 0; place < block_members_; ++place) {
        digest += member_digest(block + place, a.hashes[of_a[place]] + b.hashes[of_b[place]]);
      }
      return digest;
    }
    const std::size_t first = planner_->capture_order()[0];
    const PathRow& earlier = *rows.at(first);
    const PathRow& later = *rows.at(1 - first);
    const std::uint32_t* of_earlier = lists.paths.at(first).of_place.data();
    const std::uint32_t* of_later = lists.paths.at(1 - first).of_place.data();
    for (std::uint64_t place = 0; place < block_members_; ++place) {
      const std::uint32_t e = of_earlier[place];
      const std::uint32_t l = of_later[place];
      // The first refusal in time is the one that is met.
      std::uint64_t hash = earlier.hashes[e];
      if (earlier.refused[e] == 0) hash = later.hashes[l] + (later.refused[l] != 0 ? 0 : hash);
      digest += member_digest(block + place, hash);
    }
    return digest;
  }

  const BlockSummary& summary_of(const BlockLists& lists,
                                 const std::array<PathRow*, kCapturePaths>& rows) {
    const SummaryKey key{&lists, rows, rules_};
    const auto [found, added] = summaries_.try_emplace(key);
    if (added) found->second = summarise(lists, rows);
    return found->second;
  }

  BlockSummary summarise(const BlockLists& lists,
                         const std::array<PathRow*, kCapturePaths>& rows) const {
    // Groups by the kinds of both rows: there are few kinds.
    const std::uint64_t width = rows[1]->kind_count;
    constexpr std::uint64_t kFlat = 1 << 16;
    std::vector<std::int32_t> flat(std::min(rows[0]->kind_count * width, kFlat), -1);
    std::map<std::uint64_t, std::int32_t> beyond;
    const auto group_of = [&](std::uint64_t kinds) -> std::int32_t& {
      return kinds < kFlat ? flat[kinds] : beyond.try_emplace(kinds, -1).first->second;
    };
    std::array<std::vector<bool>, kCapturePaths> met;
    for (std::size_t path = 0; path < kCapturePaths; ++path) {
      met.at(path).resize(rows.at(path)->outcomes.size());
    }
    BlockSummary out;
    for (std::uint64_t place = 0; place < block_members_; ++place) {
      const std::uint32_t a = lists.paths[0].of_place[place];
      const std::uint32_t b = lists.paths[1].of_place[place];
      std::int32_t& group = group_of(rows[0]->kinds[a] * width + rows[1]->kinds[b]);
      if (group < 0) {
        group = static_cast<std::int32_t>(out.groups.size());
        Group fresh{.removed_by = removal(lists, rows, place), .first = place};
        fresh.state = fresh.removed_by == nullptr ? state_of(lists, rows, place)
                                                  : MemberState{.rules = rules_};
        out.groups.push_back(std::move(fresh));
      }
      Group& counted = out.groups[static_cast<std::size_t>(group)];
      ++counted.members;
      if (counted.removed_by != nullptr) continue;
      met[0][a] = met[1][b] = true;
      out.sums += rows[0]->outcomes[a].capture.costs();
      out.sums += rows[1]->outcomes[b].capture.costs();
    }
    for (std::size_t path = 0; path < kCapturePaths; ++path) {
      for (std::uint32_t list = 0; list < met.at(path).size(); ++list) {
        if (met.at(path)[list]) out.met.at(path).push_back(list);
      }
    }
    return out;
  }

  // ---- what is remembered ----------------------------------------------------------------------

  // What is remembered grows with what differs; past a bound it is found again.
  void forget_if_much() {
    constexpr std::uint64_t kMostItems = 1 << 20;  // outcomes and places: some hundred bytes each
    if (remembered_ < kMostItems) return;
    remembered_ = 0;
    summaries_.clear();
    rows_.clear();
    lists_by_words_.clear();
    lists_.clear();
    planner_ = engine_.member_planner();
  }

  Result<MemberLayout> layout_of_block() {
    std::vector<std::string> words;
    (void)words_of_lists(universe_.launch, &words);
    for (std::size_t axis = 0; axis < block_axis_; ++axis) {
      (void)words_of_lists(value_of(axis).words, &words);
    }
    layout_words_.clear();
    for (std::string& word : words) layout_words_.push_back(Word{.text = std::move(word)});
    launch_.words = layout_words_;
    return planner_->layout(launch_);
  }

  [[nodiscard]] const AxisValue& value_of(std::size_t axis) const {
    return universe_.axes[axis].values[static_cast<std::size_t>(choices_[axis])];
  }

  // The lists of this block's members; found once for all blocks that share the words before it.
  const BlockLists& lists_of_block() {
    std::vector<std::string> shared = words_of_lists(universe_.launch);
    for (std::size_t axis = 0; axis < block_axis_; ++axis) {
      for (std::string& word : words_of_lists(value_of(axis).words)) {
        shared.push_back(std::move(word));
      }
    }
    std::string key(launch_.rules);
    for (const std::string& word : shared) key.append("\n").append(word);
    const auto [found, added] = lists_by_words_.try_emplace(key);
    if (added) {
      found->second = same_lists(read_lists(shared));
      remembered_ += block_members_;
    }
    return *found->second;
  }

  // Points in history that read the words alike share what is found for them.
  const BlockLists* same_lists(BlockLists read) {
    const auto found =
        std::ranges::find_if(lists_, [&read](const BlockLists& other) { return other == read; });
    return found != lists_.end() ? &*found : &lists_.emplace_back(std::move(read));
  }

  BlockLists read_lists(const std::vector<std::string>& shared) {
    BlockLists out;
    std::array<std::unordered_map<std::uint32_t, std::uint32_t>, kCapturePaths> known;
    std::vector<std::int32_t> choices = choices_;
    for (std::uint64_t place = 0; place < block_members_; ++place) {
      std::vector<Word> words;
      for (const std::string& word : shared) words.push_back(Word{.text = word});
      std::uint64_t left = place;
      for (std::size_t axis = universe_.axes.size(); axis-- > block_axis_;) {
        const std::size_t values = universe_.axes[axis].values.size();
        choices[axis] = static_cast<std::int32_t>(left % values);
        left /= values;
      }
      for (std::size_t axis = block_axis_; axis < universe_.axes.size(); ++axis) {
        const auto at = static_cast<std::size_t>(choices[axis]);
        for (const std::string& word : universe_.axes[axis].values[at].words) {
          words.push_back(Word{.text = word});
        }
      }
      add_lists(planner_->lists(words, launch_.rules), known, out);
    }
    return out;
  }

  static void add_lists(
      Result<MemberLists> lists,
      std::array<std::unordered_map<std::uint32_t, std::uint32_t>, kCapturePaths>& known,
      BlockLists& out) {
    std::string removed;
    if (!lists) {
      removed = text_of(lists.error());
    } else if (lists->refusal) {
      removed = text_of(*lists->refusal);
    }
    out.removes |= !removed.empty();
    const bool read = removed.empty();
    out.removed.push_back(std::move(removed));
    for (std::size_t path = 0; path < kCapturePaths; ++path) {
      BlockLists::Path& of_path = out.paths.at(path);
      if (!read) {
        of_path.of_place.push_back(0);
        continue;
      }
      const std::uint32_t number = lists->paths[path];
      const auto next = static_cast<std::uint32_t>(of_path.lists.size());
      const auto [found, added] = known.at(path).try_emplace(number, next);
      if (added) of_path.lists.push_back(number);
      of_path.of_place.push_back(found->second);
    }
  }

  PathRow& row_of(std::size_t path, std::uint32_t layout, const BlockLists::Path& lists) {
    const auto [found, added] = rows_.try_emplace(RowKey{&lists, layout});
    if (!added) return found->second;
    PathRow& row = found->second;
    remembered_ += lists.lists.size();
    std::map<std::tuple<std::uint32_t, std::uint32_t, bool, std::string>, std::uint32_t> kinds;
    for (const std::uint32_t list : lists.lists) {
      PathOutcome outcome = outcome_of(path, planner_->path(path, layout, list));
      const auto kind = std::tuple(outcome.capture.verdicts.bits(), outcome.eager.verdicts.bits(),
                                   outcome.capture.graphs, outcome.refusal.value_or(""));
      const auto next = static_cast<std::uint32_t>(kinds.size());
      row.kinds.push_back(kinds.try_emplace(kind, next).first->second);
      row.removes |= outcome.refusal.has_value();
      row.hashes.push_back(outcome.hash);
      row.refused.push_back(outcome.refusal ? 1 : 0);
      row.outcomes.push_back(std::move(outcome));
    }
    row.kind_count = static_cast<std::uint32_t>(kinds.size());
    row.met_in.resize(row.outcomes.size());
    return row;
  }

  using RowKey = std::pair<const BlockLists::Path*, std::uint32_t>;
  using SummaryKey =
      std::tuple<const BlockLists*, std::array<PathRow*, kCapturePaths>, std::uint16_t>;

  const Universe& universe_;
  const Engine& engine_;
  std::optional<Condition> where_;
  std::optional<std::size_t> rules_axis_;
  std::unique_ptr<MemberPlanner> planner_;
  LaunchRequest launch_;
  std::vector<Word> layout_words_;
  std::vector<std::int32_t> choices_;
  std::uint16_t rules_ = 0;
  std::size_t block_axis_ = 0;  // the first axis of a block
  std::uint64_t block_members_ = 1;
  bool by_place_ = false;  // a condition reads an axis of the block
  std::uint64_t run_ = 0;
  std::uint64_t remembered_ = 0;  // outcomes and places that are held
  std::string last_removed_by_;
  std::uint64_t last_removal_ = hash_of_removal("");
  // Elements of a list and nodes of a map stay where they are: they are known by their address.
  std::list<BlockLists> lists_;
  std::map<std::string, const BlockLists*> lists_by_words_;
  std::map<RowKey, PathRow> rows_;
  std::map<SummaryKey, BlockSummary> summaries_;
};

}  // namespace

std::unique_ptr<MemberJudge> fast_judge(const Universe& universe, const Engine& engine,
                                        std::optional<Condition> where) {
  return std::make_unique<FastJudge>(universe, engine, std::move(where));
}

}  // namespace capsize
