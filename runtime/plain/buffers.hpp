// The named buffers of one rank: what lies where, and what became of memory that a graph remembers.
//
// Buffers are as large as real ones (gigabytes), and a plan says of their bytes only who reads and
// writes them. A block therefore keeps, range by range, what was written there as a number that
// stands for it: equal numbers are equal bytes. A block that was freed or replaced stays readable,
// so that a graph with an old address is seen and nothing crashes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/observation.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

// What a range of bytes holds.
struct Content {
  std::uint64_t value = 0;  // 0: nobody wrote it
  std::int64_t origin = 0;  // the byte that `value` is told from: a part of what was written
  bool of_step = false;     // an input as the host wrote it for one step
  std::int32_t path = -1;   // an output: the path that wrote it
  bool unread = false;      // an output: nobody has read it since
  std::int32_t lost = -1;   // an output: the path whose unread rows were written over
  friend bool operator==(const Content&, const Content&) = default;
};

class RankBuffers {
 public:
  explicit RankBuffers(const Lifecycle& lifecycle, std::int64_t rank);

  [[nodiscard]] bool owns(std::int32_t buffer) const;
  // A new block, with nothing in it. A graph keeps what it has allocated itself.
  void allocate(std::int32_t buffer, std::optional<std::int64_t> bytes, bool by_graph);
  void free(std::int32_t buffer);
  // Where a buffer lies now (or lay last).
  [[nodiscard]] std::int32_t block_of(std::int32_t buffer) const;

  // What is wrong with an access to a block: empty where nothing is.
  struct Trouble {
    Check check = Check::address;
    std::string text;
  };
  [[nodiscard]] std::optional<Trouble> trouble_at(std::int32_t block, const BufferRange& range,
                                                  bool remembered) const;

  // All bytes of a range as one number. `step`: bytes that the host wrote for some step, or nobody,
  // are taken as this step's.
  [[nodiscard]] std::uint64_t read(std::int32_t block, std::int64_t first, std::int64_t bytes,
                                   std::optional<std::uint64_t> step) const;
  void write(std::int32_t block, const BufferRange& range, Content content);
  // An output is read by its own path: whether another path has written over it before.
  [[nodiscard]] std::int32_t read_output(std::int32_t block, const BufferRange& range,
                                         std::int32_t path);

  [[nodiscard]] std::int64_t bytes_of(std::int32_t block, const BufferRange& range) const;

 private:
  struct Block {
    std::int32_t buffer = -1;
    std::int64_t generation = 0;
    std::optional<std::int64_t> bytes;
    bool live = true;
    bool of_graph = false;
    std::map<std::int64_t, std::pair<std::int64_t, Content>> parts;  // first byte: end, content
  };
  [[nodiscard]] const Block& at(std::int32_t block) const {
    return blocks_[static_cast<std::size_t>(block)];
  }
  [[nodiscard]] std::int64_t end_of(const Block& block, const BufferRange& range) const;
  void split(Block& block, std::int64_t at);

  const Lifecycle* lifecycle_;
  std::int64_t rank_;
  std::vector<Block> blocks_;
  std::vector<std::int32_t> current_;  // by buffer
};

}  // namespace capsize
