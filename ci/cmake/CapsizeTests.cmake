# How tests are made. Two functions:
#
#   capsize_test_suite(NAME [LINK target...])     tests/NAME: every *.cpp in one executable NAME_tests
#   capsize_scenario_cases(FOLDER)                one ctest for each case of FOLDER/manifest.txt

# Every file of the calling directory becomes part of one executable; its tests carry the
# directory's name as ctest label and as prefix. Test names are asked for when ctest starts
# (PRE_TEST), so that a build does not run programs.
function(capsize_test_suite name)
  cmake_parse_arguments(SUITE "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  if(NOT sources)
    message(STATUS "capsize: tests/${name} has no test yet")
    return()
  endif()
  add_executable(${name}_tests ${sources})
  capsize_test_program(${name}_tests)
  target_link_libraries(${name}_tests PRIVATE ${SUITE_LINK})
  capsize_discover_tests(${name}_tests ${name})
endfunction()

# What all test executables share: all rooms, where the data and the program lie, quick compilation.
function(capsize_test_program target)
  target_link_libraries(${target} PRIVATE
    capsize::test_support capsize::scenarios capsize::build_options)
  # Eight files a batch: few enough that two cores share a suite, enough to parse headers seldom.
  # Precompiled headers gain nothing beside that: building one costs as much as ten batches save.
  set_target_properties(${target} PROPERTIES
    UNITY_BUILD ${CAPSIZE_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  target_compile_options(${target} PRIVATE ${CAPSIZE_TEST_FLAGS})
  add_dependencies(${target} capsize)
endfunction()

# A parameterized test is named by its instance, not by its parameter's bytes (NO_PRETTY_VALUES).
function(capsize_discover_tests target label)
  include(GoogleTest)
  gtest_discover_tests(${target}
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    NO_PRETTY_VALUES
    TEST_PREFIX ${label}.
    PROPERTIES LABELS ${label} TIMEOUT 300)
endfunction()

# One ctest for each case file. The manifest is explicit, and both directions are checked, so that a
# forgotten case stops the configure step instead of never being run. A case's labels are
# `scenario` and its class, which is the name of its folder.
function(capsize_scenario_cases folder)
  set(manifest ${folder}/manifest.txt)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})
  file(STRINGS ${manifest} listed REGEX "^[^#]")
  file(GLOB_RECURSE present CONFIGURE_DEPENDS RELATIVE ${folder} ${folder}/*.json)
  foreach(case IN LISTS present)
    if(NOT case IN_LIST listed)
      message(FATAL_ERROR "scenarios/cases/${case} is run by no test: add the line\n"
        "  ${case}\nto scenarios/cases/manifest.txt, or remove the file.")
    endif()
  endforeach()
  set(seen "")
  foreach(case IN LISTS listed)
    if(NOT case IN_LIST present)
      message(FATAL_ERROR "scenarios/cases/manifest.txt lists \"${case}\", but there is no file "
        "scenarios/cases/${case} (one path a line, ending in .json, no spaces around it).")
    endif()
    if(case IN_LIST seen)
      message(FATAL_ERROR "scenarios/cases/manifest.txt lists \"${case}\" twice.")
    endif()
    list(APPEND seen ${case})
    get_filename_component(class ${case} DIRECTORY)
    if(class STREQUAL "")
      message(FATAL_ERROR "scenarios/cases/${case} lies in no class folder: move it into one "
        "(scenarios/cases/<class>/${case}).")
    endif()
    string(REGEX REPLACE "\\.json$" "" name ${case})
    add_test(NAME scenario.${name} COMMAND capsize scenarios run ${folder}/${case})
    set_tests_properties(scenario.${name} PROPERTIES LABELS "scenario;${class}" TIMEOUT 60)
  endforeach()
endfunction()
