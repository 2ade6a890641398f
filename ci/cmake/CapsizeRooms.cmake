# capsize_room(NAME FILES pattern... USES target... [GENERATED file...])
#
# One static library a room, `capsize_NAME` with the alias `capsize::NAME`. A new file in a room is
# found by its pattern; no list has to be edited. USES is what the room may include: a room that
# reaches for more does not link. The global property CAPSIZE_ROOMS lists all rooms.
function(capsize_room name)
  cmake_parse_arguments(ROOM "" "" "FILES;USES;GENERATED" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${ROOM_FILES})
  add_library(capsize_${name} STATIC ${sources} ${ROOM_GENERATED})
  add_library(capsize::${name} ALIAS capsize_${name})
  target_include_directories(capsize_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(capsize_${name} PUBLIC ${ROOM_USES} PRIVATE capsize::build_options)
  # A check is short arithmetic over short lists: what lies in its way is worth the last tenth.
  target_compile_options(capsize_${name} PRIVATE $<$<CONFIG:Release>:${CAPSIZE_ROOM_FLAGS}>)
  set_property(GLOBAL APPEND PROPERTY CAPSIZE_ROOMS capsize_${name})
endfunction()

# capsize_batches(TARGET [ALONE file...])
#
# Compiles that target's files in batches where CAPSIZE_UNITY_ROOMS is set, all but those that use
# names of others for parts of their own. It pays where each file parses json, fmt or CLI11.
function(capsize_batches target)
  cmake_parse_arguments(BATCHES "" "" "ALONE" ${ARGN})
  if(NOT CAPSIZE_UNITY_ROOMS)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
  file(GLOB alone ${BATCHES_ALONE})
  set_source_files_properties(${alone} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
