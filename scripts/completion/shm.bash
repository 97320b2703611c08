# shm.bash: completion of shm and shmlua for bash: commands, options, and the names that there are.

# Fills COMPREPLY with those of the words that begin as what is typed, quoted. (compgen -W would expand them: a
# name may be $(anything).)
_shm_reply() {
  local word typed=${COMP_WORDS[COMP_CWORD]//\\/}
  COMPREPLY=()
  for word; do
    [[ $word == "$typed"* ]] && COMPREPLY+=("$(printf %q "$word")")
  done
}

# The keys in a file of /proc/sysvipc, as shm takes them, behind a prefix.
_shm_keys() {
  local key rest
  while read -r key rest; do
    [[ $key =~ ^-?[0-9]+$ && $key -ne 0 ]] && printf '%s0x%08x\n' "$2" $((key & 0xffffffff))
  done 2>/dev/null <"$1"
}

# Replies with names of POSIX objects, and keys of System V segments; of message queues, too, for who takes them.
_shm_reply_names() {
  local file names=()
  for file in /dev/shm/*; do [[ -f $file ]] && names+=("/${file##*/}"); done
  names+=($(_shm_keys /proc/sysvipc/shm))
  [[ $1 == stat || $1 == rm ]] && names+=($(_shm_keys /proc/sysvipc/msg mq:))
  _shm_reply "${names[@]}"
}

_shm() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options
  if ((COMP_CWORD == 1)); then
    _shm_reply ls stat create read write rm watch arena top --help --version
    return
  fi
  case $command in
  ls) options=(--json) ;;
  stat) options=(--json) ;;
  create) options=(--mode --arena) ;;
  read) options=(--offset --count --type --raw) ;;
  write) options=(--offset --type --force) ;;
  rm) options=(--orphans --dry-run) ;;
  watch) options=(--offset --interval --refreshes) ;;
  arena) options=(--interval --json) ;;
  top) options=(--interval --refreshes) ;;
  *) return ;;
  esac
  case $before in
  --type | -t) _shm_reply i8 u8 i16 u16 i32 u32 i64 u64 f32 f64 ; return ;;
  --mode) _shm_reply 0600 0640 0644 0660 0666 ; return ;;
  --offset | --count | --interval | --refreshes | -o | -c | -i) return ;;
  -n) [[ $command == rm ]] || return ;;
  esac
  if [[ $word == -* ]]; then
    _shm_reply "${options[@]}" --help
  elif [[ $command != ls && $command != top && $command != create ]]; then
    _shm_reply_names "$command"
  fi
}

# Has the command line a script already? What follows are its arguments.
_shmlua_has_script() {
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    -e | -l | -j) ((i++)) ;;
    --arena | --restart | --grace) [[ ${COMP_WORDS[i + 1]} == = ]] && ((i += 2)) ;;
    -*) ;;
    *) return 0 ;;
    esac
  done
  return 1
}

_shmlua() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} IFS=$'\n'
  local only=(-X '!*.lua')
  if _shmlua_has_script; then
    only=()
  else
    case $before in
    -j) _shm_reply auto 1 2 4 8 ; return ;;
    =) [[ ${COMP_WORDS[COMP_CWORD - 2]} == --restart ]] && _shm_reply always ; return ;;
    -e | -l) return ;;
    esac
    if [[ $word == -* ]]; then
      _shm_reply -e -i -l -v -E -W -j --arena= --restart --restart= --grace= --help
      [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
      return
    fi
  fi
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f "${only[@]}" -- "$word"; ((${#only[@]})) && compgen -d -- "$word"))
}

complete -F _shm shm
complete -F _shmlua shmlua
