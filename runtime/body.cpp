#include "runtime/body.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace capsize {
namespace {

// Places in a pool, in rows: the lowest that is free. A tensor lies between two guards of its own.
class Pool {
 public:
  [[nodiscard]] std::int64_t take(std::int64_t rows) {
    const std::int64_t wanted = kTensorRows + rows_with_guard(rows);
    std::int64_t at = 0;
    auto behind = taken_.begin();
    for (; behind != taken_.end() && behind->first - at < wanted; ++behind) at = behind->second;
    taken_.insert(behind, {at, at + wanted});
    rows_ = std::max(rows_, at + wanted);
    return at + kTensorRows;
  }
  void give_back(std::int64_t at) {
    std::erase_if(taken_, [at](const auto& each) { return each.first == at - kTensorRows; });
  }
  [[nodiscard]] std::int64_t rows() const { return rows_; }

 private:
  std::vector<std::pair<std::int64_t, std::int64_t>> taken_;  // rising
  std::int64_t rows_ = 0;
};

class BodyMaker {
 public:
  BodyMaker(const Running& running, BodyRules rules) : running_(running), rules_(rules) {}

  Result<Body> make() {
    if (auto fits = unroll(); !fits) return tl::unexpected(std::move(fits.error()));
    rules_.mathematics ? add_last_sum() : add_last_copy();
    number_host_inputs();
    body_.arena_rows = pool_.rows();
    return std::move(body_);
  }

 private:
  // A tensor with how many later operations still read it.
  struct Tensor {
    Operand operand;
    std::int64_t readers = 0;
  };

  Result<void> unroll() {
    for (const RunPart& part : running_.parts) {
      for (std::int64_t again = 0; again < part.repeat; ++again) {
        for (std::int32_t block = 0; block < part.blocks; ++block) {
          const auto at = static_cast<std::size_t>(part.first_block + block);
          if (auto added = add_block(running_.blocks[at]); !added) return added;
        }
      }
    }
    return {};
  }

  Result<void> add_block(const RunBlock& block) {
    for (std::int64_t turn = 0; turn < block.repeat; ++turn) {
      for (std::int32_t i = 0; i < block.count; ++i) {
        const RunOp& op = running_.ops[static_cast<std::size_t>(block.first + i)];
        if (auto added = add(op, turn); !added) return added;
      }
    }
    return {};
  }

  Result<void> add(const RunOp& run, std::int64_t turn) {
    if (body_.instructions.size() >= kInstructionsMax) {
      return tl::unexpected(Error{"plan",
                                  "a rank runs more than " + std::to_string(kInstructionsMax) +
                                      " operations in one event, more than a run executes",
                                  "state fewer repetitions of a layer"});
    }
    Instruction& out = body_.instructions.emplace_back();
    out.op = run.op;
    out.index = run.index;
    out.layer = run.layer < 0 ? -1 : run.layer + turn;
    out.captured = run.captured;
    out.from_graph = run.from_graph;
    written_.emplace_back();
    if (!computes(*run.op)) return {};
    if (auto fits = check_rows(*run.op); !fits) return fits;
    return rules_.mathematics ? link_by_tensor(out) : link_by_producer(out);
  }

  // So few that no sum of them passes what a number holds.
  static Result<void> check_rows(const PlanOp& op) {
    std::int64_t most = op.rows_out.value_or(0);
    for (const std::int64_t rows : op.rows_in) most = std::max(most, rows);
    if (most <= kOperandRowsMax) return {};
    return tl::unexpected(Error{"plan",
                                std::string(name_of(op.kind)) + " of " + std::to_string(most) +
                                    " rows: a run takes up to " + std::to_string(kOperandRowsMax),
                                "state the same fault with fewer rows"});
  }

  // Whether an operation has operands at all.
  static bool computes(const PlanOp& op) {
    return !is_host_call(op.kind) && op.kind != PlanOpKind::wait &&
           op.kind != PlanOpKind::barrier && op.kind != PlanOpKind::allocate &&
           op.kind != PlanOpKind::free;
  }

  // ---- with mathematics: two tensors ----------------------------------------------------------

  Result<void> link_by_tensor(Instruction& out) {
    const PlanOp& op = *out.op;
    enter(op);
    if (out.layer >= 0 && op.role != Role::move) last_layer_ = std::max(last_layer_, out.layer);
    if (is_point_to_point(op.kind)) return pass_on(out);
    const bool both =
        op.role == Role::add_norm || op.role == Role::add || op.role == Role::add_first;
    const bool reads_hidden =
        both || op.tensor == Slot::hidden || op.role == Role::keep || op.role == Role::restart;
    read(out, reads_hidden ? hidden_->operand : residual_->operand, 0);
    if (both) read(out, residual_->operand, 1);
    const std::int64_t rows = op.rows_out.value_or(out.in[0].rows);
    if (op.role == Role::restart || op.role == Role::keep || op.tensor == Slot::residual) {
      set(residual_, write(out, rows));
      return {};
    }
    const Operand hidden = write(out, rows);
    if (op.role == Role::add_norm) set(residual_, write(out, rows));
    set(hidden_, hidden);
    return {};
  }

  // Between pipeline stages a tensor goes out as it is, or comes in.
  Result<void> pass_on(Instruction& out) {
    std::optional<Tensor>& tensor = out.op->tensor == Slot::residual ? residual_ : hidden_;
    if (out.op->kind == PlanOpKind::send) {
      read(out, tensor->operand, 0);
      sends_ = true;
    } else {
      set(tensor, write(out, out.op->rows_out.value_or(tensor->operand.rows)));
    }
    return {};
  }

  // The first operation tells how many rows the rank enters with; a later pipeline stage receives
  // them.
  void enter(const PlanOp& op) {
    if (hidden_) return;
    const std::int64_t rows = op.rows_in.empty() ? 0 : op.rows_in.front();
    hidden_ = Tensor{{Operand::Where::input, 0, rows}, 0};
    residual_ = Tensor{{Operand::Where::zeros, 0, rows}, 0};
    body_.input_rows = {rows};
    body_.zero_rows = rows;
  }

  void set(std::optional<Tensor>& tensor, Operand operand) {
    if (tensor->operand.where == Operand::Where::arena) pool_.give_back(tensor->operand.at);
    tensor = Tensor{operand, 0};
  }

  // What the model leaves behind: hidden + residual. A pipeline stage that hands its rows on leaves
  // nothing.
  void add_last_sum() {
    if (!hidden_) return;
    body_.ends_model = !(sends_ && last_layer_ + 1 < rules_.layers);
    if (!body_.ends_model) return;
    Instruction& out = body_.instructions.emplace_back();
    out.captured = true;
    out.from_graph = running_.replays();
    read_any(out, hidden_->operand);
    read_any(out, residual_->operand);
    if (hidden_->operand.rows != residual_->operand.rows) {
      fault(out, "hidden ends with " + rows_text(hidden_->operand.rows) + ", residual with " +
                     rows_text(residual_->operand.rows));
    }
    body_.output_rows = hidden_->operand.rows;
    out.out[out.outputs++] = {Operand::Where::output, 0, body_.output_rows};
  }

  // In a plan without mathematics: what was written last.
  void add_last_copy() {
    if (!last_) return;
    Instruction& out = body_.instructions.emplace_back();
    out.captured = true;
    out.from_graph = running_.replays();
    read_any(out, *last_);
    body_.output_rows = last_->rows;
    out.out[out.outputs++] = {Operand::Where::output, 0, body_.output_rows};
  }

  // ---- without: what other operations wrote ---------------------------------------------------

  Result<void> link_by_producer(Instruction& out) {
    const PlanOp& op = *out.op;
    // What the host runs beside a graph hands it nothing but what lies in named buffers.
    const bool host = runs_beside_graph(out);
    if (std::exchange(host_, host) != host) leave_last();
    const bool reads = !(op.kind == PlanOpKind::recv || starts_chain(op));
    if (reads) {
      if (auto read = read_producers(out); !read) return read;
      if (is_fused(op.kind)) check_fused(out);
    }
    const std::int64_t brought = out.inputs > 0 ? out.in[0].rows : 0;
    if (starts_chain(op) && !op.rows_out) {  // it only writes to buffers
      leave_last();
      return {};
    }
    const std::int64_t rows =
        op.rows_out.value_or(op.rows_in.empty() ? brought : op.rows_in.front());
    if (op.kind != PlanOpKind::send) written_.back() = write(out, rows);
    if (!is_aside(op)) keep_last(written_.back());
    return {};
  }

  [[nodiscard]] bool runs_beside_graph(const Instruction& what) const {
    if (running_.mode == GraphMode::eager) return false;
    if (running_.replays()) return !what.from_graph;
    return running_.mode == GraphMode::graph && !what.captured;
  }

  // A copy that names no operand brings new rows; so does the first operation of a program.
  [[nodiscard]] static bool starts_chain(const PlanOp& op) {
    return op.kind == PlanOpKind::copy && op.in.empty() && !op.from && op.rows_in.empty();
  }

  // Counts and indexes that are exchanged beside the rows.
  [[nodiscard]] static bool is_aside(const PlanOp& op) {
    return op.dtype == "int32" || op.dtype == "int64";
  }

  [[nodiscard]] static bool is_fused(PlanOpKind kind) {
    return kind == PlanOpKind::add || kind == PlanOpKind::norm;
  }

  // A sum and a norm work on all their operands row by row.
  void check_fused(Instruction& out) {
    for (std::size_t i = 1; i < out.inputs; ++i) {
      if (out.in.at(i).rows == out.in[0].rows || out.fault >= 0) continue;
      fault(out, "its operands hold " + rows_text(out.in[0].rows) + " and " +
                     rows_text(out.in.at(i).rows));
    }
  }

  void leave_last() {
    if (previous_ && !named(previous_index_)) pool_.give_back(previous_->at);
    previous_ = last_;
    previous_index_ = last_index_;
    last_.reset();
  }

  Result<void> read_producers(Instruction& out) {
    const PlanOp& op = *out.op;
    std::vector<std::optional<Operand>> producers;
    if (op.from) {
      for (const std::int32_t place : *op.from) producers.push_back(written_by(place));
    } else if (!is_aside(op)) {
      producers.push_back(last_);
    }
    if (producers.size() > kOperandsMax) {
      return tl::unexpected(Error{"plan",
                                  "an operation reads " + std::to_string(producers.size()) +
                                      " operands, a run takes " + std::to_string(kOperandsMax),
                                  "split it in two"});
    }
    if (producers.empty()) producers.emplace_back();
    for (std::size_t i = 0; i < producers.size(); ++i) {
      if (producers[i]) out.made_by.at(i) = maker_of(*producers[i]);
      read(out, producers[i] ? *producers[i] : new_input(op, i), i);
    }
    return {};
  }

  // The last that wrote there.
  [[nodiscard]] const PlanOp* maker_of(const Operand& operand) const {
    for (std::size_t i = body_.instructions.size() - 1; i-- > 0;) {
      if (written_[i] && written_[i]->at == operand.at) return body_.instructions[i].op;
    }
    return nullptr;
  }

  static std::int64_t rows_wanted(const PlanOp& op, std::size_t operand) {
    if (operand < op.rows_in.size()) return op.rows_in[operand];
    return op.rows_out.value_or(1);
  }

  // `place` counts operations of the program; blocks are unrolled, so the latest turn is meant.
  [[nodiscard]] std::optional<Operand> written_by(std::int32_t place) const {
    for (std::size_t i = body_.instructions.size() - 1; i-- > 0;) {
      if (body_.instructions[i].index == place && written_[i]) return written_[i];
    }
    return std::nullopt;
  }

  // Inputs of what the host runs beside a graph come last, so that those of a graph have the same
  // places in its capture and in its replays.
  Operand new_input(const PlanOp& op, std::size_t place) {
    const std::int64_t rows = rows_wanted(op, place);
    if (host_) {
      host_input_rows_.push_back(rows);
      host_readers_.push_back({&op, place});
      return {Operand::Where::input, -std::ssize(host_input_rows_), rows};
    }
    body_.input_rows.push_back(rows);
    body_.readers.push_back({&op, place});
    return {Operand::Where::input, std::ssize(body_.input_rows) - 1, rows};
  }

  void number_host_inputs() {
    const std::int64_t before = std::ssize(body_.input_rows);
    for (Instruction& each : body_.instructions) {
      for (Operand& in : each.in) {
        if (in.where == Operand::Where::input && in.at < 0) in.at = before - 1 - in.at;
      }
    }
    body_.input_rows.insert(body_.input_rows.end(), host_input_rows_.begin(),
                            host_input_rows_.end());
    body_.readers.insert(body_.readers.end(), host_readers_.begin(), host_readers_.end());
  }

  // Tensors of a chain live until the body ends where operations are named by others; else until
  // the next one is written.
  void keep_last(const std::optional<Operand>& written) {
    if (!written) return;
    if (previous_ && !named(previous_index_)) pool_.give_back(previous_->at);
    previous_ = last_;
    previous_index_ = last_index_;
    last_ = written;
    last_index_ = body_.instructions.back().index;
  }

  [[nodiscard]] bool named(std::int32_t index) const {
    return std::ranges::any_of(running_.ops, [index](const RunOp& each) {
      return each.op->from && std::ranges::find(*each.op->from, index) != each.op->from->end();
    });
  }

  // ---- both -----------------------------------------------------------------------------------

  static std::string rows_text(std::int64_t rows) {
    return std::to_string(rows) + (rows == 1 ? " row" : " rows");
  }

  void fault(Instruction& out, std::string text) {
    out.fault = static_cast<std::int32_t>(body_.faults.size());
    body_.faults.push_back(std::move(text));
  }

  static void read_any(Instruction& out, const Operand& operand) {
    out.in.at(out.inputs++) = operand;
  }

  void read(Instruction& out, Operand operand, std::size_t place) {
    const PlanOp& op = *out.op;
    if (place < op.rows_in.size() && op.rows_in[place] != operand.rows) {
      const std::int64_t wanted = op.rows_in[place];
      if (rules_.unguarded && wanted < operand.rows) {
        operand.rows = wanted;
      } else if (out.fault < 0) {
        fault(out,
              "it reads " + rows_text(wanted) + ", its operand holds " + rows_text(operand.rows));
      }
    }
    read_any(out, operand);
  }

  Operand write(Instruction& out, std::int64_t rows) {
    const Operand operand{Operand::Where::arena, pool_.take(rows), rows};
    out.out.at(out.outputs++) = operand;
    return operand;
  }

  const Running& running_;
  BodyRules rules_;
  Body body_;
  Pool pool_;
  std::optional<Tensor> hidden_;
  std::optional<Tensor> residual_;
  std::int64_t last_layer_ = -1;                 // that something was computed for
  bool sends_ = false;                           // its rows go on to another stage
  std::vector<std::optional<Operand>> written_;  // by instruction
  std::optional<Operand> last_;
  std::optional<Operand> previous_;
  std::int32_t last_index_ = -1;
  std::int32_t previous_index_ = -1;
  bool host_ = false;  // the operation runs beside a graph
  std::vector<std::int64_t> host_input_rows_;
  std::vector<Body::Reader> host_readers_;
};

}  // namespace

Result<Body> body_of(const Running& running, BodyRules rules) {
  return BodyMaker(running, rules).make();
}

}  // namespace capsize
