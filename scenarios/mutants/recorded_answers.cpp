#include "scenarios/mutants/recorded_answers.hpp"

#include <array>

namespace capsize {
namespace {

const std::vector<RecordedLists>& lists() {
  static const std::vector<RecordedLists> rows = {
      {.asked = {.gpu_memory_mib = 16000,
                 .tp = 1,
                 .mla = true,
                 .chunked_prefill_size = -1,
                 .piecewise_max_tokens = 1000},
       .answer = {.chunked_prefill_size = -1,
                  .cuda_graph_max_bs = 8,
                  .cuda_graph_bs = {1, 2, 4, 8},
                  .piecewise_max_tokens = 1000,
                  .piecewise_tokens = {4,   8,   12,  16,  20,  24,  28,  32,  48,  64,
                                       80,  96,  112, 128, 144, 160, 176, 192, 208, 224,
                                       240, 256, 288, 320, 352, 384, 416, 448, 480, 512,
                                       576, 640, 704, 768, 832, 896, 960}}},
      {.asked = {.gpu_memory_mib = 24000, .tp = 4, .mla = true, .piecewise_max_tokens = 1000},
       .answer = {.chunked_prefill_size = 2048,
                  .cuda_graph_max_bs = 80,
                  .cuda_graph_bs = {1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80},
                  .piecewise_max_tokens = 1000,
                  .piecewise_tokens = {4,   8,   12,  16,  20,  24,  28,  32,  48,  64,
                                       80,  96,  112, 128, 144, 160, 176, 192, 208, 224,
                                       240, 256, 288, 320, 352, 384, 416, 448, 480, 512,
                                       576, 640, 704, 768, 832, 896, 960}}},
      {.asked = {.gpu_memory_mib = 40000, .tp = 1, .mla = true, .chunked_prefill_size = 6000},
       .answer = {.chunked_prefill_size = 6000,
                  .cuda_graph_max_bs = 32,
                  .cuda_graph_bs = {1, 2, 4, 8, 12, 16, 24, 32},
                  .piecewise_max_tokens = 2048,
                  .piecewise_tokens = {4,   8,   12,  16,  20,   24,   28,   32,   48,  64,  80,
                                       96,  112, 128, 144, 160,  176,  192,  208,  224, 240, 256,
                                       288, 320, 352, 384, 416,  448,  480,  512,  576, 640, 704,
                                       768, 832, 896, 960, 1024, 1280, 1536, 1792, 2048}}},
      {.asked = {.gpu_memory_mib = 81559,
                 .tp = 1,
                 .chunked_prefill_size = 2048,
                 .piecewise_max_tokens = 1000},
       .answer = {.chunked_prefill_size = 2048,
                  .cuda_graph_max_bs = 256,
                  .cuda_graph_bs = {1,   2,   4,   8,   12,  16,  24,  32,  40,  48,  56,  64,
                                    72,  80,  88,  96,  104, 112, 120, 128, 136, 144, 152, 160,
                                    168, 176, 184, 192, 200, 208, 216, 224, 232, 240, 248, 256},
                  .piecewise_max_tokens = 1000,
                  .piecewise_tokens = {4,   8,   12,  16,  20,  24,  28,  32,  48,  64,
                                       80,  96,  112, 128, 144, 160, 176, 192, 208, 224,
                                       240, 256, 288, 320, 352, 384, 416, 448, 480, 512,
                                       576, 640, 704, 768, 832, 896, 960}}},
      {.asked = {.gpu_memory_mib = 81559, .tp = 4, .mla = true, .chunked_prefill_size = 2048},
       .answer = {.chunked_prefill_size = 2048,
                  .cuda_graph_max_bs = 512,
                  .cuda_graph_bs = {1,   2,   4,   8,   12,  16,  24,  32,  40,  48,  56,
                                    64,  72,  80,  88,  96,  104, 112, 120, 128, 136, 144,
                                    152, 160, 168, 176, 184, 192, 200, 208, 216, 224, 232,
                                    240, 248, 256, 272, 288, 304, 320, 336, 352, 368, 384,
                                    400, 416, 432, 448, 464, 480, 496, 512},
                  .piecewise_max_tokens = 2048,
                  .piecewise_tokens = {4,   8,   12,  16,  20,   24,   28,   32,   48,  64,  80,
                                       96,  112, 128, 144, 160,  176,  192,  208,  224, 240, 256,
                                       288, 320, 352, 384, 416,  448,  480,  512,  576, 640, 704,
                                       768, 832, 896, 960, 1024, 1280, 1536, 1792, 2048}}},
      {.asked = {.gpu_memory_mib = 200000,
                 .tp = 2,
                 .chunked_prefill_size = 2048,
                 .piecewise_max_tokens = 5000},
       .answer = {.chunked_prefill_size = 2048,
                  .cuda_graph_max_bs = 512,
                  .cuda_graph_bs = {1,   2,   4,   8,   12,  16,  24,  32,  40,  48,  56,
                                    64,  72,  80,  88,  96,  104, 112, 120, 128, 136, 144,
                                    152, 160, 168, 176, 184, 192, 200, 208, 216, 224, 232,
                                    240, 248, 256, 272, 288, 304, 320, 336, 352, 368, 384,
                                    400, 416, 432, 448, 464, 480, 496, 512},
                  .piecewise_max_tokens = 5000,
                  .piecewise_tokens = {4,    8,    12,   16,   20,   24,   28,   32,   48,
                                       64,   80,   96,   112,  128,  144,  160,  176,  192,
                                       208,  224,  240,  256,  288,  320,  352,  384,  416,
                                       448,  480,  512,  576,  640,  704,  768,  832,  896,
                                       960,  1024, 1280, 1536, 1792, 2048, 2304, 2560, 2816,
                                       3072, 3328, 3584, 3840, 4096, 4608}}},
      {.asked = {.tp = 4},
       .answer = {.chunked_prefill_size = 4096,
                  .cuda_graph_max_bs = 160,
                  .cuda_graph_bs = {1,  2,  4,  8,  12,  16,  24,  32,  40,  48,  56,  64,
                                    72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160},
                  .piecewise_max_tokens = 4096,
                  .piecewise_tokens = {4,    8,    12,   16,   20,   24,   28,   32,   48,
                                       64,   80,   96,   112,  128,  144,  160,  176,  192,
                                       208,  224,  240,  256,  288,  320,  352,  384,  416,
                                       448,  480,  512,  576,  640,  704,  768,  832,  896,
                                       960,  1024, 1280, 1536, 1792, 2048, 2304, 2560, 2816,
                                       3072, 3328, 3584, 3840, 4096}}},
      {.asked = {.gpu_memory_mib = 16000,
                 .tp = 1,
                 .speculative = true,
                 .chunked_prefill_size = -1,
                 .cuda_graph_max_bs = 24},
       .answer = {.chunked_prefill_size = -1,
                  .cuda_graph_max_bs = 24,
                  .cuda_graph_bs = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24},
                  .piecewise_max_tokens = -1,
                  .piecewise_tokens = {}}},
      {.asked = {.tp = 1,
                 .speculative = true,
                 .chunked_prefill_size = 2048,
                 .piecewise_max_tokens = 1000},
       .answer = {.chunked_prefill_size = 2048,
                  .cuda_graph_max_bs = 160,
                  .cuda_graph_bs = {1,  2,  3,  4,  5,  6,   7,   8,   10,  12,  14,  16,  18,
                                    20, 22, 24, 26, 28, 30,  32,  40,  44,  48,  52,  56,  60,
                                    64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160},
                  .piecewise_max_tokens = 1000,
                  .piecewise_tokens = {4,   8,   12,  16,  20,  24,  28,  32,  48,  64,
                                       80,  96,  112, 128, 144, 160, 176, 192, 208, 224,
                                       240, 256, 288, 320, 352, 384, 416, 448, 480, 512,
                                       576, 640, 704, 768, 832, 896, 960}}},
  };
  return rows;
}

// tp, dp, DP attention, moe-dense, lm-head, all-to-all; MLP gather, attention gather, buffer, sync.
constexpr std::array kPredicates = {
    RecordedPredicates{{2, 1, false, {}, false, false}, {false, false, false, false}},
    RecordedPredicates{{2, 1, false, {}, false, true}, {false, true, true, true}},
    RecordedPredicates{{2, 1, false, 1, false, false}, {false, true, true, true}},
    RecordedPredicates{{4, 4, true, {}, true, true}, {true, false, true, true}},
    RecordedPredicates{{4, 4, true, 1, true, true}, {false, false, false, true}},
    RecordedPredicates{{4, 4, true, 1, true, false}, {true, false, true, true}},
    RecordedPredicates{{2, 2, true, 1, false, true}, {true, false, true, true}},
    RecordedPredicates{{4, 2, true, {}, false, false}, {true, false, true, true}},
    RecordedPredicates{{8, 4, true, {}, true, true}, {true, true, true, true}},
};

}  // namespace

std::span<const RecordedLists> recorded_lists() { return lists(); }
std::span<const RecordedPredicates> recorded_predicates() { return kPredicates; }

std::optional<std::string> unlike_recorded(const RuleSet& rules) {
  for (const RecordedLists& row : lists()) {
    if (rules.lists(row.asked) == row.answer) continue;
    const std::string memory =
        row.asked.gpu_memory_mib ? std::to_string(*row.asked.gpu_memory_mib) + " MiB" : "unknown";
    return "default sizes of tp " + std::to_string(row.asked.tp) + ", GPU memory " + memory;
  }
  for (const RecordedPredicates& row : kPredicates) {
    if (rules.predicates(row.asked) == row.answer) continue;
    return "predicates of tp " + std::to_string(row.asked.tp) + ", dp " +
           std::to_string(row.asked.dp);
  }
  return std::nullopt;
}

}  // namespace capsize
