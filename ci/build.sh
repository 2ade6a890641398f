# Sourced by ci/quickstart and ci/test: configure and build one preset, saying what is done.
#   build_preset NAME [cmake argument...]

say() { echo "$(basename "$0"): $*"; }

# ccache keeps its objects below HOME and stops without one.
export HOME="${HOME:-/root}"

# A new configure step only where the build folder has none, the presets changed, a CUDA toolkit was
# brought or something else is asked for; for everything else ninja itself knows.
configure_preset() {
  local folder="build/$1" log
  if [[ -f "$folder/build.ninja" && "$folder/build.ninja" -nt CMakePresets.json &&
        ! build/cuda/brought -nt "$folder/build.ninja" && $# == 1 ]]; then
    return
  fi
  say "configuring preset $1 in $folder"
  log=$(mktemp)
  if ! cmake --preset "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log" "$folder/build.ninja"
    return 1
  fi
  grep '^-- capsize:' "$log" || true
  rm -f "$log"
  touch "$folder/build.ninja"
}

# On a terminal ninja keeps one line up to date. In a log, every tenth step is enough, and whatever
# is no step (a warning, an error) is kept whole.
build_preset() {
  configure_preset "$@"
  local jobs
  jobs=$(nproc)
  say "building preset $1 with $jobs jobs"
  if [[ -t 1 ]]; then
    cmake --build "build/$1" --parallel "$jobs"
  else
    cmake --build "build/$1" --parallel "$jobs" 2>&1 |
      awk -F'[][/]' '/^\[[0-9]+\/[0-9]+\]/ { if ($2 == 0 || ($2 % 10 && $2 != $3 + 0)) next }
                     !/^ninja: no work to do/ { print; fflush() }'
  fi
}
