/*
 * barrier.pml: rounds of a barrier, and what their waiters are told: core/sync/barrier.c.
 *
 * Two meet at a time, of 3 processes or 4, each of which comes so many times: whoever is slow to look, as one
 * that is stopped, finds its round long past. The barrier's lock is one as lock.pml has shown it to be;
 * results are read without it.
 *
 * PROCESSES=n, COMES=n  so many, of which each comes so many times
 * LISTED=n   so many failures are listed
 * KILLS=n    so many are killed, each at any step
 *
 * What holds: all who met in a round that failed are told so, and all others that it did not, but for those
 * of a round older than a failure that is forgotten. Nobody waits for the dead.
 *
 * What breaks it: BITS (a result for each of so many rounds, in turn), FORGET_LATE, ROUND_FIRST.
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef COMES
#define COMES 2
#endif
#ifndef LISTED
#define LISTED 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#define PARTIES 2
#define ROUNDS  8 /* more than there can be */

byte owner;               /* of the lock */
byte round;
byte forgotten;
byte failures[LISTED];    /* 1 + the round */
byte who[PARTIES], in[PARTIES];
bool failed[ROUNDS];      /* what the waiters of a round are to be told */
bool dead[PROCESSES + 1], over[PROCESSES + 1];
byte dying;               /* is killed: it makes no other step */

#define waits(p)     (who[p] != 0 && in[p] == round)
#define full         (waits(0) && waits(1))
#define has_dead     (waits(0) && dead[who[0]] || waits(1) && dead[who[1]])

inline enter() { /* shmx_lock_enter */
  d_step { owner == 0 || dead[owner] -> owner = _pid }
}

inline leave() {
  d_step { owner = 0; i = 0 }
}

inline note() { /* note_failure */
#ifdef BITS
  failures[ended % LISTED] = fails
#else
  if
  :: fails ->
    d_step {
      i = 0; oldest = 0; listed = false;
      do
      :: i < LISTED ->
        listed = listed || failures[i] == ended + 1;
        if
        :: failures[i] < failures[oldest] -> oldest = i
        :: else
        fi;
        i++
      :: else -> break
      od;
      i = 0
    }
    if
    :: listed
    :: !listed ->
#ifdef FORGET_LATE
      least = failures[oldest];
      failures[oldest] = ended + 1;
      forgotten = least;
      least = 0
#else
      forgotten = failures[oldest];
      failures[oldest] = ended + 1
#endif
    fi
  :: !fails
  fi
#endif
}

inline end_round() {
  ended = round;
#ifndef ROUND_FIRST
  note();
#endif
  d_step { failed[round] = fails; round++ }
#ifdef ROUND_FIRST
  note();
#endif
  ended = 0
}

/* A place of nobody's, or of a round that is past; where there is none, one of those has died. */
inline take_place() {
  if
  :: !waits(0) -> place = 0
  :: waits(0) && !waits(1) -> place = 1
  :: full -> place = PARTIES
  fi;
  if
  :: place < PARTIES ->
    who[place] = 0;
    in[place] = round;
    who[place] = _pid
  :: place == PARTIES
  fi
}

inline result_of() {
#ifdef BITS
  told = failures[mine % LISTED]
#else
  told = false;
  i = 0;
  do
  :: i < LISTED -> told = told || failures[i] == mine + 1; i++
  :: i == LISTED -> break
  od;
  told = told || mine < forgotten;
  i = 0
#endif
}

proctype Process() provided (dying == 0 || dying == _pid) {
  byte i, oldest, least, place, mine, ended, comes;
  bool listed, fails, told;
again: {
    if
    :: d_step { comes < COMES -> comes++ }
      enter(); /* shmx_barrier_come */
      mine = round;
      take_place();
      if
      :: full ->
        fails = has_dead;
        end_round();
        leave()
      :: !full ->
        leave();
end_waiting: /* for somebody who does not come any more */
        do /* shmx_barrier_await */
        :: round != mine -> break
        :: has_dead -> enter(); /* look_for_dead */
          if
          :: round == mine && has_dead -> fails = true; end_round()
          :: round != mine || !has_dead
          fi;
          leave()
        od;
        result_of();
#ifdef BITS
        assert(told == failed[mine])
#else
        assert(told || !failed[mine]);
        assert(!told || failed[mine] || mine < forgotten)
#endif
      fi;
      d_step { fails = false; told = false; place = 0; mine = 0 }
      goto again
    :: d_step { comes == COMES -> over[_pid] = true }
    fi
  } unless {
    d_step { dying == _pid -> dying = 0; dead[_pid] = true; over[_pid] = true }
  }
end:
  false
}

init {
  byte kills;
  atomic {
    run Process(); run Process(); run Process();
#if PROCESSES == 4
    run Process()
#endif
  }
  do
  :: d_step { kills < KILLS && dying == 0 && !over[1] -> dying = 1; kills++ }
  :: d_step { kills < KILLS && dying == 0 && !over[2] -> dying = 2; kills++ }
  :: d_step { kills < KILLS && dying == 0 && !over[3] -> dying = 3; kills++ }
#if PROCESSES == 4
  :: d_step { kills < KILLS && dying == 0 && !over[4] -> dying = 4; kills++ }
#endif
  :: dying == 0 -> break
  od
}
