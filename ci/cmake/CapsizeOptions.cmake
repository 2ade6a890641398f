# How everything is built: C++20, warnings are errors, one optimised build, ccache where it is there.
option(CAPSIZE_TESTS "Build the tests" ON)
option(CAPSIZE_BENCH "Build the benchmarks (Google Benchmark)" OFF)
option(CAPSIZE_CUDA "Build the CUDA parts where a toolkit is found" ON)
option(CAPSIZE_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CAPSIZE_CCACHE ccache)
if(CAPSIZE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${CAPSIZE_CCACHE})
endif()

add_library(capsize_build_options INTERFACE)
add_library(capsize::build_options ALIAS capsize_build_options)
target_compile_options(capsize_build_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  -Wnon-virtual-dtor -Wold-style-cast -Wimplicit-fallthrough -Werror>)
if(CAPSIZE_SANITIZE)
  target_compile_options(capsize_build_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(capsize_build_options INTERFACE -fsanitize=address,undefined)
endif()
