#!/bin/sh
# check.sh FOLDER: runs all models through spin, four at once, in 2 GiB; builds in FOLDER. Each line of `runs`
# has a model, what is expected of it (holds, fails), what is looked for, and the model's flags:
#   safety  assertions, and ends in which somebody waits
#   ends    cycles of any kind: a model that has none comes to an end whoever is slow
#   fair    what its ltl says, where nobody who can go on stops for ever
# What went wrong in a run: cd FOLDER/NUMBER; spin -t -p -g FLAGS -k MODEL.pml.trail PATH/MODEL.pml
set -eu

runs() {
  cat <<'END'
lock   holds ends    -DKILLS=1 -DSLICES
lock   holds ends    -DKILLS=1 -DSLICES -DROBUST
lock   holds safety  -DKILLS=2 -DSLICES
lock   holds safety  -DKILLS=2 -DSLICES -DROBUST
lock   holds safety  -DKILLS=2 -DROBUST -DOWNERS_ONLY
lock   holds safety  -DKILLS=1 -DSLICES -DABANDON -DROUNDS=1
lock   holds safety  -DROUNDS=3
lock   holds safety  -DABANDON
lock   fails safety  -DNO_WAITERS
lock   fails safety  -DKILLS=2 -DROBUST -DOWNERS_ONLY -DNO_PENDING
lock   fails safety  -DKILLS=2 -DSLICES -DNO_START
lock   fails safety  -DKILLS=2 -DSLICES -DHALF_COMPARED
lock   fails safety  -DKILLS=1 -DSLICES -DNO_DIED
lock   fails safety  -DKILLS=1
lock   fails safety  -DKILLS=1 -DROBUST
event  holds safety  -DROUNDS=2
event  holds safety  -DONE
event  holds safety  -DCONDITION
event  holds safety  -DKILLS=2 -DFIRST=1 -DLAST=2
event  holds safety  -DKILLS=2 -DSLICES
event  holds safety  -DONE -DKILLS=2 -DSLICES
event  holds safety  -DCONDITION -DKILLS=2 -DFIRST=1 -DLAST=2 -DSLICES
event  holds safety  -DNO_NOTIFY_FENCE -DKILLS=1 -DSLICES
event  holds ends    -DKILLS=1 -DSLICES
event  holds ends    -DONE
event  holds ends    -DCONDITION -DKILLS=1 -DFIRST=1 -DLAST=2 -DSLICES
event  fails safety  -DNO_PREPARE_FENCE
event  fails safety  -DNO_NOTIFY_FENCE
event  fails safety  -DONE -DNO_PREPARE_FENCE
event  fails safety  -DONE -DNO_NOTIFY_FENCE
event  fails safety  -DNO_LOOK
event  fails safety  -DNO_BUMP
event  fails safety  -DONE -DBIT_ALONE
event  fails safety  -DCONDITION -DBIT_ALONE
event  fails safety  -DKILLS=1 -DFIRST=3 -DLAST=4
event  fails safety  -DCONDITION -DKILLS=1 -DFIRST=3 -DLAST=4 -DSLICES
rwlock holds safety  -DROUNDS=2
rwlock holds safety  -DSLOTS=1 -DROUNDS=2
rwlock holds safety  -DKILLS=2 -DSLICES
rwlock holds safety  -DSLOTS=1 -DKILLS=1 -DSLICES
rwlock holds safety  -DKILLS=1 -DSLICES -DDEADLINES
rwlock holds ends    -DKILLS=1 -DSLICES
rwlock holds fair    -DFOREVER
rwlock holds fair    -DFOREVER -DSLOTS=1
rwlock fails fair    -DFOREVER -DNO_QUEUE
rwlock fails safety  -DNO_READER_FENCE
rwlock fails safety  -DNO_WRITER_FENCE
rwlock fails safety  -DGATE_FIRST
rwlock fails safety  -DNO_DAMAGE
rwlock fails safety  -DKILLS=1
barrier holds safety  -DCOMES=3
barrier holds safety  -DKILLS=1
barrier holds safety  -DKILLS=2 -DLISTED=2
barrier holds safety  -DPROCESSES=4 -DKILLS=2 -DCOMES=1
barrier fails safety  -DKILLS=1 -DCOMES=3 -DBITS -DLISTED=2
barrier fails safety  -DKILLS=1 -DROUND_FIRST
barrier fails safety  -DPROCESSES=4 -DKILLS=2 -DCOMES=1 -DFORGET_LATE
arena  holds safety  -DKILLS=1
arena  holds safety  -DKILLS=2 -DMEMBERS=2
arena  holds safety  -DMEMBERS=2 -DOPS=3
arena  holds ends    -DMEMBERS=2
arena  fails safety  -DCLEAR_AFTER_LOOK
arena  fails safety  -DRELAXED_LOOK
arena  fails safety  -DPUBLISH_FIRST -DKILLS=1
arena  fails safety  -DUSE_IN_CHILD
arena  fails safety  -DNO_SERIAL
arena  fails safety  -DNO_BIT
arena  fails safety  -DNO_DEAD -DKILLS=1
channel holds safety
channel holds safety  -DKILLS=1 -DMESSAGES=1
channel holds safety  -DKILLS=2 -DMESSAGES=1
channel holds safety  -DHALVES
channel holds safety  -DHALVES -DKILLS=1 -DMESSAGES=1
channel fails safety  -DTAIL_FIRST
channel fails safety  -DHEAD_FIRST
channel fails safety  -DNO_TURN
channel fails safety  -DFINISHED_LATE
channel fails safety  -DHALVES -DNOT_COMPARED
topic  holds safety  -DMESSAGES=6
topic  holds safety  -DKILLS=1
topic  fails safety  -DFLOOR_AFTER
topic  fails safety  -DNO_WRITER_FENCE
topic  fails safety  -DNO_READER_FENCE
topic  fails safety  -DNO_RECHECK
topic  fails safety  -DTAIL_FIRST
dict   holds safety  -DKILLS=1
dict   holds safety  -DKILLS=2 -DCHANGES=2
dict   fails safety  -DKILLS=1 -DNO_LOG
dict   fails safety  -DKILLS=1 -DLOG_LATE
dict   fails safety  -DKILLS=1 -DFREED_FIRST
dict   fails safety  -DEVEN_EARLY
dict   fails safety  -DIN_PLACE
dict   fails safety  -DNO_COMMIT_FENCE
dict   fails safety  -DNO_READER_FENCE
dict   fails safety  -DNO_RECHECK
dict   fails safety  -DNO_ODD
dict   holds safety  -DPOOL -DKILLS=2
dict   fails safety  -DPOOL -DKILLS=1 -DNO_LOG
dict   fails safety  -DPOOL -DKILLS=1 -DNOT_FROZEN
dict   fails safety  -DPOOL -DKILLS=1 -DFROZEN_LATE
dict   fails safety  -DPOOL -DKILLS=1 -DTHAWED_EARLY
readiness holds safety
readiness holds safety  -DOTHER
readiness holds safety  -DOTHER -DKILLS=1 -DSLICES
readiness holds ends    -DOTHER -DKILLS=1 -DSLICES
readiness fails safety  -DNO_LOCK
readiness fails safety  -DNO_CHANGED
readiness fails safety  -DNO_TICKET
readiness fails safety  -DSET_ONCE
readiness fails safety  -DKILLS=1
readiness fails safety  -DOTHER -DNO_TELL
readiness fails safety  -DOTHER -DANY_OWNER
END
}

# One run, in a folder of its own; the result is: holds, fails, or broken, and the numbers.
run() {
  here=$1 number=$2 model=$3 expected=$4 looking=$5
  shift 5
  mkdir -p "$number" && cd "$number"
  case $looking in
  safety) build=-DSAFETY options= ;;
  ends) build=-DNP options=-l ;;
  fair) build=-DNFAIR=3 options="-a -f" ;;
  esac
  optimize=-O2
  test "$expected" = holds || optimize=-O0 # it is over soon
  result=broken
  if spin "$@" -a "$here/$model.pml" >log 2>&1 && ${CC:-gcc} $optimize -w "$build" -o pan pan.c >>log 2>&1; then
    ./pan -m20000 -w23 $options >>log 2>&1 || true
    if grep -q 'not completed\|out of memory\|depth too small' log; then
      grep -Eq '^pan:1: (assertion|invalid end|acceptance cycle|non-progress cycle)' log && result=fails
    elif grep -q 'errors: 0$' log; then
      result=holds
    fi
  fi
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' log)
  depth=$(sed -n 's/.*depth reached \([0-9]*\).*/\1/p' log)
  echo "$result ${states:-0} ${depth:-0}" >result
}

if [ "$1" = --run ]; then
  shift
  run "$@"
  exit
fi

here=$(cd "$(dirname "$0")" && pwd)
command -v spin >/dev/null || { echo "spin is not installed" >&2; exit 1; }
rm -rf "$1"
mkdir -p "$1"
cd "$1"
runs | awk -v here="$here" '{ print here, NR, $0 }' >list
jobs=$(nproc)
xargs -P $((jobs < 4 ? jobs : 4)) -L 1 "$here/check.sh" --run <list

status=0
while read -r here number model expected looking flags; do
  read -r result states depth <"$number/result"
  echo "$model $expected $states $depth"
  [ "$result" = "$expected" ] && continue
  echo "$model.pml ($looking) $flags: $result, where $expected is expected; see $PWD/$number/log" >&2
  status=1
done <list >results || status=1
awk '
  !($1 in holds) { order[++models] = $1; holds[$1] = fails[$1] = depth[$1] = 0 }
  $2 == "fails" { fails[$1]++ }
  $2 == "holds" { holds[$1]++; states[$1] += $3; if ($4 > depth[$1]) depth[$1] = $4 }
  END {
    for (i = 1; i <= models; i++) {
      m = order[i]
      printf "model %-9s holds in %d runs, of %d states, to depth %d; %d broken variants fail\n",
        m, holds[m], states[m], depth[m], fails[m]
    }
  }' results
exit $status
