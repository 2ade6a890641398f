#include "scenarios/explain/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace capsize {
namespace {

constexpr int kLeft = 150;    // the lane labels
constexpr int kColumn = 108;  // one operation
constexpr int kBar = 30;      // the tallest bar
constexpr int kLane = 46;     // one rank
constexpr int kHeader = 66;   // names over a track
constexpr int kBarWidth = 26;
constexpr int kTop = 64;
constexpr int kLine = 18;  // a line of text
constexpr std::int64_t kRankLanesMost = 16;
constexpr std::size_t kBlocksShown = 2;
constexpr std::size_t kWrap = 112;

// Plain colours, overridden for a dark page: not every renderer knows CSS variables.
constexpr std::string_view kStyle = R"(<style>
  text { font: 12px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; } .num { font-size: 11px; }
  .dim { fill: #656d76; } .small { font-size: 10.5px; fill: #656d76; }
  .ground { fill: #ffffff; } .lane { stroke: #d0d7de; stroke-width: 1; }
  .bar { fill: #5b8def; } .sum { fill: #c69026; }
  .join { stroke: #656d76; stroke-width: 1.5; } .dot { fill: #656d76; }
  .bad { fill: #cf222e; font-weight: 600; } .badground { fill: #ffebe9; }
  .badline { stroke: #cf222e; stroke-width: 2; } .baddot { fill: #cf222e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .dim, .small, .dot { fill: #8d96a0; } .ground { fill: #0d1117; }
    .lane { stroke: #3d444d; } .bar { fill: #6ea8fe; } .sum { fill: #e3b341; }
    .join { stroke: #8d96a0; } .bad, .baddot { fill: #ff7b72; } .badground { fill: #3c1618; }
    .badline { stroke: #ff7b72; } }
</style>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::vector<std::string> wrapped(std::string_view text) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > kWrap) {
      lines.emplace_back();
    }
    lines.back().append(lines.back().empty() ? "" : " ").append(word);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return lines;
}

// One lane: a rank, or a class where there are too many ranks.
struct Lane {
  std::string label;
  std::size_t place = 0;  // of its class in the track
  std::int64_t rank = 0;
};

class Picture {
 public:
  explicit Picture(const Explanation& explanation) : e_(explanation) {
    for (const ExplainedTrack& track : e_.tracks) {
      for (const ExplainedBlock* block : shown_blocks(track)) {
        for (const ExplainedOp& op : block->ops) {
          for (const ExplainedRows& rows : op.rows) most_ = std::max(most_, held(rows));
        }
      }
    }
  }

  std::string run() {
    y_ = kTop;
    for (const ExplainedTrack& track : e_.tracks) draw_track(track);
    draw_sentences();
    const int width = std::max(width_ + 20, kLeft + 640);
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" role=\"img\">\n",
        width, y_ + 12);
    out += fmt::format("<title>{}</title>\n", escaped(e_.headline));
    out += kStyle;
    out += fmt::format("<rect class=\"ground\" width=\"{}\" height=\"{}\"/>\n", width, y_ + 12);
    out += body_;
    return out + "</svg>\n";
  }

 private:
  static std::int64_t held(const ExplainedRows& rows) {
    if (rows.out >= 0) return rows.out;
    return rows.in.empty() ? 0 : rows.in.front();
  }

  static bool broken(const ExplainedBlock& block) {
    return std::ranges::any_of(block.ops,
                               [](const ExplainedOp& op) { return !op.breaches.empty(); });
  }

  static std::vector<const ExplainedBlock*> shown_blocks(const ExplainedTrack& track) {
    std::vector<const ExplainedBlock*> out;
    const bool any = std::ranges::any_of(track.blocks, broken);
    for (const ExplainedBlock& block : track.blocks) {
      if (out.size() < kBlocksShown && (!any || broken(block))) out.push_back(&block);
    }
    return out;
  }

  std::vector<Lane> lanes_of(const ExplainedTrack& track) const {
    std::vector<Lane> lanes;
    for (std::size_t place = 0; place < track.classes.size(); ++place) {
      const ExplainedClass& each = e_.classes[static_cast<std::size_t>(track.classes[place])];
      if (e_.world > kRankLanesMost) {
        lanes.push_back({ranks_text(each.ranks), place, each.ranks.first()});
        continue;
      }
      each.ranks.for_each([&](std::int64_t rank) {
        lanes.push_back({"rank " + std::to_string(rank), place, rank});
      });
    }
    std::ranges::sort(lanes, {}, &Lane::rank);
    return lanes;
  }

  void text(int x, int y, std::string_view what, std::string_view kind = {},
            std::string_view anchor = "start") {
    body_ += fmt::format("<text x=\"{}\" y=\"{}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n", x,
                         y, kind, anchor, escaped(what));
  }

  void line(int x1, int y1, int x2, int y2, std::string_view kind) {
    body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"{}\"/>\n", x1, y1,
                         x2, y2, kind);
  }

  void draw_track(const ExplainedTrack& track) {
    const std::vector<Lane> lanes = lanes_of(track);
    const auto blocks = shown_blocks(track);
    const ExplainedClass& first = e_.classes[static_cast<std::size_t>(track.classes.front())];
    text(10, y_ + 14, first.runs, "dim");
    int x = kLeft;
    const int lanes_top = y_ + kHeader;
    const int bottom = lanes_top + kLane * static_cast<int>(lanes.size());
    for (const ExplainedBlock* block : blocks) {
      text(x, y_ + 30, block->title, "dim");
      for (const ExplainedOp& op : block->ops) {
        draw_op(op, lanes, x, lanes_top, bottom);
        x += kColumn;
      }
      x += 16;
    }
    width_ = std::max(width_, x);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const int base = lanes_top + kLane * (static_cast<int>(i) + 1) - 8;
      text(10, base - 8, lanes[i].label);
      line(kLeft - 6, base, std::max(x - 16, kLeft + 200), base, "lane");
      if (blocks.empty()) text(kLeft, base - 8, "runs nothing", "dim");
    }
    y_ = bottom + 14;
  }

  void draw_op(const ExplainedOp& op, const std::vector<Lane>& lanes, int x, int top, int bottom) {
    const bool bad = !op.breaches.empty();
    if (bad) {
      body_ += fmt::format(
          "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"4\" class=\"badground\"/>\n",
          x - 6, top - 32, kColumn - 4, bottom - top + 34);
    }
    text(x, top - 18, op.name, bad ? "bad num" : "num");
    std::string under = op.group;
    if (!op.peer.empty()) under += (under.empty() ? "" : ", ") + op.peer;
    for (const int each : op.breaches) under += fmt::format(" [{}]", each);
    text(x, top - 5, under, bad ? "bad num" : "small");
    if (op.collective) draw_joins(op, lanes, x, top, bad);
    const bool sum = op.layout.find("Partial") != std::string::npos &&
                     op.layout.rfind("Partial") > op.layout.find("->") + 1;
    const bool stays =
        op.layout.find("->") == std::string::npos && op.layout.find("Partial") != std::string::npos;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const std::int64_t rows = held(op.rows[lanes[i].place]);
      const bool said = op.rows[lanes[i].place].out >= 0 || !op.rows[lanes[i].place].in.empty();
      if (!said) continue;
      const int base = top + kLane * (static_cast<int>(i) + 1) - 8;
      const int height = most_ == 0 ? 0 : static_cast<int>((rows * kBar + most_ - 1) / most_);
      body_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"{}\"/>\n",
                           x + 14, base - height, kBarWidth, height, sum || stays ? "sum" : "bar");
      text(x + 14 + kBarWidth + 4, base - 2, std::to_string(rows), bad ? "bad num" : "num");
    }
  }

  // A line through the lanes of each group, with a dot on every member.
  void draw_joins(const ExplainedOp& op, const std::vector<Lane>& lanes, int x, int top, bool bad) {
    const auto family = std::ranges::find(e_.groups, op.group, &PlanGroups::name);
    if (family == e_.groups.end() || op.group_size <= 1) return;
    std::map<std::int32_t, std::vector<int>> members;  // by group: the heights of its lanes
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const auto group = family->group_of[static_cast<std::size_t>(lanes[i].rank)];
      members[group].push_back(top + kLane * (static_cast<int>(i) + 1) - 24);
    }
    for (const auto& [group, heights] : members) {
      if (group < 0) continue;
      const int at = x + 4;
      line(at, heights.front(), at, heights.back(), bad ? "badline" : "join");
      for (const int height : heights) {
        body_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"3\" class=\"{}\"/>\n", at, height,
                             bad ? "baddot" : "dot");
      }
    }
  }

  void draw_sentences() {
    text(10, 24, e_.headline, "title");
    text(10, 44,
         "a bar: the rows that a rank holds after the operation (amber: an unreduced sum); a line: "
         "the ranks of one group",
         "small");
    for (const ExplainedBreach& breach : e_.breaches) {
      const auto lines =
          wrapped(fmt::format("[{}] {}: {}", breach.number, breach.law, breach.text));
      for (std::size_t i = 0; i < lines.size(); ++i) {
        text(10, y_ + 12, lines[i], "bad");
        y_ += kLine;
      }
    }
    if (e_.breaches.empty()) {
      text(10, y_ + 12, "no law is broken in this event", "dim");
      y_ += kLine;
    }
  }

  const Explanation& e_;
  std::string body_;
  std::int64_t most_ = 0;
  int y_ = 0;
  int width_ = 0;
};

}  // namespace

std::string svg_of(const Explanation& explanation) { return Picture(explanation).run(); }

}  // namespace capsize
