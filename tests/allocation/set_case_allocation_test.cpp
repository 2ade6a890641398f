// What is done many million times a second allocates nothing: taking a case from the tables, all
// laws over its sets, and what its lost sizes cost. Every operator new of this process counts.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include "properties/mutants.hpp"
#include "tests/support/set_tables.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAPSIZE_COUNTS_ALLOCATIONS 0
#else
#define CAPSIZE_COUNTS_ALLOCATIONS 1
#endif

namespace capsize::allocation_test {
std::size_t allocations = 0;  // of one thread: the tests start no other
}

#if CAPSIZE_COUNTS_ALLOCATIONS
// The forms for arrays and for no exceptions end here by themselves. Inlined, a pair of malloc and
// operator delete would look like a mistake to the compiler.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++capsize::allocation_test::allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  ++capsize::allocation_test::allocations;
  const auto multiple = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(multiple, (size + multiple) / multiple * multiple)) {
    return memory;
  }
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
#endif

namespace capsize::allocation_test {
namespace {

class AllocationFree : public testing::Test {
 protected:
  void SetUp() override {
    if (CAPSIZE_COUNTS_ALLOCATIONS == 0) {
      GTEST_SKIP() << "a sanitizer replaces operator new itself: allocations are not counted";
    }
  }
};

// A counter that counts nothing would pass every test below.
TEST_F(AllocationFree, TheCounterCounts) {
  const std::size_t before = allocations;
  void* const one = ::operator new(1);  // called by name it may not be left out
  void* const many = ::operator new[](100);
  void* const aligned = ::operator new (64, std::align_val_t{64});
  const std::size_t counted = allocations - before;
  ::operator delete(one);
  ::operator delete[](many);
  ::operator delete (aligned, std::align_val_t{64});
  EXPECT_EQ(counted, 3U);
}

// A vector, a string or a function object on the way from numbers to verdicts.
TEST_F(AllocationFree, FromTheTablesToTheVerdicts) {
  test::SetTables tables;
  std::vector<std::pair<test::SetTables::Id, test::SetTables::Id>> paths;  // list and usable set
  for (const Mutant& mutant : mutants()) {
    for (const PlantedPlan& plan : {mutant.make().faulty, mutant.make().healthy}) {
      const CapturePath& path = plan.captures.paths.front();
      const auto list = tables.list(path.candidates);
      const auto usable = tables.usable(path.step->requirement.usable).value();
      if (tables.remember(list, 0, path, true)) paths.emplace_back(list, usable);
    }
  }
  std::vector<SetFinding> findings(set_laws().size());
  const std::size_t before = allocations;
  std::int64_t violations = 0;
  std::int64_t waste = 0;
  std::int64_t padded = 0;
  for (const auto& [list, usable] : paths) {
    const SetCase in = tables.case_of(list, 0, usable);
    judge_sets(in, findings);
    for (const SetFinding& finding : findings) {
      violations += finding.verdict == LawVerdict::violation ? 1 : 0;
    }
    waste += wasted(in).count();
    padded += padded_tokens(in) + tables.padded_of(list, 0);
  }
  EXPECT_EQ(allocations, before);
  EXPECT_GT(violations, 0);
  EXPECT_GT(waste, 0);
  EXPECT_GT(padded, 0);
  EXPECT_GT(paths.size(), 50U);
}

// Laws that find something, on cases of real paths: naming the witness must not allocate either.
TEST_F(AllocationFree, EveryViolation) {
  std::size_t violations = 0;
  for (const Mutant& mutant : mutants()) {
    const PlantedPlan plan = mutant.make().faulty;
    SetStorage storage;
    const auto in = set_case_of(plan.captures.paths.front(), storage, plan.fail_on_waste);
    if (!in) continue;
    std::vector<SetFinding> findings(set_laws().size());
    const std::size_t before = allocations;
    judge_sets(*in, findings);
    EXPECT_EQ(allocations, before) << mutant.name;
    for (const SetFinding& finding : findings) {
      violations += finding.verdict == LawVerdict::violation ? 1 : 0;
    }
  }
  EXPECT_GT(violations, 25U);
}

}  // namespace
}  // namespace capsize::allocation_test
