# shm.bash: completion of shm and shmlua for bash: commands, options, and the names that there are.

# Names of POSIX objects, and keys of System V segments, as shm takes them.
_shm_names() {
  local file key rest
  for file in /dev/shm/*; do [[ -f $file ]] && printf '%s\n' "/${file##*/}"; done
  while read -r key rest; do
    [[ $key =~ ^-?[0-9]+$ && $key -ne 0 ]] && printf '0x%08x\n' $((key & 0xffffffff))
  done 2>/dev/null </proc/sysvipc/shm
}

# Fills COMPREPLY with those of the words, one a line, that begin as what is typed.
_shm_reply() {
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"))
}

_shm_lines() { printf '%s\n' "$@"; }

_shm() {
  local commands=(ls stat create read write rm watch arena top)
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options
  if ((COMP_CWORD == 1)); then
    _shm_reply "$(_shm_lines "${commands[@]}" --help)"
    return
  fi
  case $command in
  ls) options=(--json) ;;
  stat) options=(--json) ;;
  create) options=(--mode --arena) ;;
  read) options=(--offset --count --type --raw) ;;
  write) options=(--offset --type) ;;
  rm) options=(--orphans --dry-run) ;;
  watch) options=(--offset --interval --refreshes) ;;
  arena) options=(--interval --json) ;;
  top) options=(--interval --refreshes) ;;
  *) return ;;
  esac
  case $before in
  --type | -t) _shm_reply "$(_shm_lines i8 u8 i16 u16 i32 u32 i64 u64 f32 f64)" ; return ;;
  --mode) _shm_reply "$(_shm_lines 0600 0640 0644 0660 0666)" ; return ;;
  --offset | --count | --interval | --refreshes | -o | -c | -i | -n) [[ $command == rm ]] || return ;;
  esac
  if [[ $word == -* ]]; then
    _shm_reply "$(_shm_lines "${options[@]}" --help)"
  elif [[ $command != ls && $command != top && $command != create ]]; then
    _shm_reply "$(_shm_names)"
  fi
}

_shmlua() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  case $before in
  -j) _shm_reply "$(_shm_lines auto 1 2 4 8)" ; return ;;
  -e | -l) return ;;
  esac
  case $word in
  -*) _shm_reply "$(_shm_lines -e -l -i -v -E -W -j --arena= --restart --restart= --grace=)" ;;
  *) COMPREPLY=($(compgen -f -X '!*.lua' -- "$word") $(compgen -d -S / -- "$word")) ;;
  esac
  [[ ${COMPREPLY[0]} == *= || ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
}

complete -F _shm shm
complete -F _shmlua shmlua
