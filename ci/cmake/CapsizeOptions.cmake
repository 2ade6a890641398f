# How everything is built: C++20, warnings are errors, ccache where it is there. The presets
# (CMakePresets.json) set these options; a plain `cmake -B build` gets the values below.
option(CAPSIZE_TESTS "Build the tests (GoogleTest, RapidCheck)" ON)
option(CAPSIZE_BENCH "Build the benchmarks (Google Benchmark)" OFF)
option(CAPSIZE_CUDA "Build the CUDA parts where a toolkit is found" ON)
option(CAPSIZE_SANITIZE "Everything with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(CAPSIZE_SANITIZED_PROGRAM "A second, sanitized build of the program for tests/bad_input" OFF)
option(CAPSIZE_FUZZ "Build the fuzzers of tests/fuzz (clang 16 or later)" OFF)
option(CAPSIZE_PORTABLE "Programs that run on other machines with glibc 2.35 or later" OFF)
option(CAPSIZE_SHARED_FMT "Link fmt's shared library instead of compiling fmt into every file" OFF)
option(CAPSIZE_UNITY "Compile test files in batches; OFF shows a missing #include" ON)
option(CAPSIZE_UNITY_ROOMS "Compile the files of scenarios and cli in batches as well" OFF)
set(CAPSIZE_ROOM_FLAGS -O3 CACHE STRING "How the rooms are optimised in a Release build")
set(CAPSIZE_TEST_FLAGS "" CACHE STRING "Flags of the tests' own files, behind all others")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CAPSIZE_CCACHE ccache)
mark_as_advanced(CAPSIZE_CCACHE)
if(CAPSIZE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CAPSIZE_CCACHE})
endif()

set(capsize_warnings
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Wimplicit-fallthrough -Werror
  -Wno-missing-field-initializers)  # designated initializers leave out what keeps its default
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 reports overlapping copies inside std::string's own operator+ (GCC bug 105651).
  list(APPEND capsize_warnings -Wno-restrict)
endif()
if(CAPSIZE_UNITY_ROOMS)
  # A local name that another file of the batch has as well hides nothing that its file knows.
  list(REMOVE_ITEM capsize_warnings -Wshadow)
endif()
set(capsize_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)

add_library(capsize_build_options INTERFACE)
add_library(capsize::build_options ALIAS capsize_build_options)
target_compile_options(capsize_build_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${capsize_warnings}>"
  "$<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Wshadow,-Werror>")
if(CAPSIZE_SANITIZE)
  # The sanitizers' checks confuse g++'s flow analysis of uninitialized values.
  target_compile_options(capsize_build_options INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:${capsize_sanitizers};-Wno-maybe-uninitialized>")
  target_link_options(capsize_build_options INTERFACE -fsanitize=address,undefined)
endif()
if(CAPSIZE_PORTABLE)
  add_library(capsize_portable STATIC ${PROJECT_SOURCE_DIR}/ci/gpu/arc4random.cpp)
  target_link_libraries(capsize_build_options INTERFACE capsize_portable)
  # Asked for at once: libstdc++, which uses it, comes last in the line.
  target_link_options(capsize_build_options INTERFACE
    -static-libstdc++ -static-libgcc LINKER:--undefined=arc4random)
endif()
if(CAPSIZE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
    message(FATAL_ERROR "CAPSIZE_FUZZ needs clang 16 or later, this is "
      "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}: use ci/fuzz, or "
      "ci/bootstrap --fuzz and CXX=clang++-16 cmake --preset fuzz.")
  endif()
  # Warnings are the plain build's business; assertions stay in.
  target_compile_options(capsize_build_options INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link;${capsize_sanitizers};-w;-UNDEBUG>")
  target_link_options(capsize_build_options INTERFACE -fsanitize=address,undefined)
endif()
