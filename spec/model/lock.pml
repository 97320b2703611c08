/*
 * lock.pml: the lock of core/sync/lock.[ch]: its word, those who wait, and those who are killed.
 *
 * A step here is what others can see of a step there; names say whose it is. All is one word, so that
 * the orders of memory do not matter. The kernel's part is handle_futex_death, kernel/futex/core.c.
 *
 * ROBUST       shmx_lock_enter and _leave; without it, shmx_lock_acquire and _release
 * KILLS=n      so many threads are killed, each at any step. A thread with the same number and another
 *              start follows: it comes for the lock, too, or lives elsewhere
 * SLICES       who sleeps looks now and then. A look that finds the same word and its owner alive
 *              changes nothing, and is left out: so where all sleep for ever, no look would help
 * OWNERS_ONLY  only who has the lock is killed: the kernel tells at once, and nobody needs to look
 *
 * What holds: one is inside at a time; EOWNERDEAD is told to the next after an owner has died, and only
 * then; no living thread waits for ever (no invalid end), nor goes round in circles (no cycle at all).
 *
 * What breaks it: NO_WAITERS, NO_PENDING, NO_START, HALF_COMPARED, NO_DIED; and kills without SLICES.
 */
#ifndef KILLS
#define KILLS 0
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif

#define WAITERS 16 /* SHMX_LOCK_WAITERS */
#define DIED    32 /* SHMX_LOCK_DIED */
#define FLAGS   48 /* SHMX_LOCK_FLAGS */
#define NUMBER(w) ((w) & 3)           /* FUTEX_TID_MASK; here 1, 2, 3 */
#define START(w)  ((w) & 12)          /* the high half of the word; here 4 or 8 */
#define TASK(w)   ((w) & 15)
#define LOW(w)    ((w) & (FLAGS | 3)) /* the low half: the futex */

byte word;        /* shmx_lock.word */
byte start_of[4]; /* of the thread that has this number now */
bool asleep[4];   /* within futex(2) */
bool busy[4];     /* may be killed */
byte dying;       /* is killed: it makes no other step */
byte inside;      /* the living thread that has the lock */
bool damaged;     /* an owner has died, and no other has left since */

#ifdef NO_START
#define self     (_pid)
#define lives(w) (start_of[NUMBER(w)] != 0)
#else
#define self     (_pid | start_of[_pid]) /* shmx_self()->task */
#define lives(w) (start_of[NUMBER(w)] == START(w))
#endif
#define is_free(w) (NUMBER(w) == 0)
#define is_dead(w) (!is_free(w) && (TASK(w) == self || !lives(w)))

#ifdef HALF_COMPARED
#define same(w) (LOW(word) == LOW(w))
#else
#define same(w) (word == (w))
#endif

#ifdef NO_WAITERS
#define SLEPT 0
#else
#define SLEPT WAITERS
#endif
#ifdef NO_DIED
#define OVER WAITERS
#else
#define OVER (WAITERS | DIED)
#endif

/* take: `w` is what the compare-exchange has found. -EOWNERDEAD is told of DIED. */
inline take(flags) {
  word = self | (flags) | (w & FLAGS);
  assert(inside == 0);
  assert(damaged == ((word & DIED) != 0));
  inside = _pid;
  w = 0
}

inline leave(what, harm) {
  word = what;
  inside = 0;
  damaged = harm;
  rounds++
}

/* shmx_futex_wake of one: whichever it is. */
inline wake() {
  if
  :: d_step { asleep[1] -> asleep[1] = false }
  :: d_step { asleep[2] -> asleep[2] = false }
  :: d_step { asleep[3] -> asleep[3] = false }
  :: !asleep[1] && !asleep[2] && !asleep[3]
  fi
}

proctype Thread() provided (dying == 0 || dying == _pid) {
  byte w, rounds;
lock: {
    if /* shmx_lock_enter, shmx_lock_acquire */
    :: d_step { rounds < ROUNDS && word == 0 -> take(0) } goto unlock
    :: rounds < ROUNDS && word != 0
    :: d_step { rounds == ROUNDS -> busy[_pid] = false } goto finished
    fi;

    /* shmx_lock_wait; spin: one look stands for all, as each ends as this one or does nothing */
    w = word;
    if
    :: d_step { is_free(w) && word == w -> take(0) } goto unlock
    :: d_step { !is_free(w) || word != w -> w = 0 }
    fi;

wait: /* the loop in shmx_lock_wait */
    w = word;
    if
    :: d_step { is_free(w) && word == w -> take(SLEPT) } goto unlock
    :: d_step { is_free(w) && word != w -> w = 0 } goto wait
    /* sleep_on: its compare-exchange, if that is needed */
    :: d_step { !is_free(w) && !(w & WAITERS) && word == w -> w = w | WAITERS; word = w }
    :: d_step { !is_free(w) && !(w & WAITERS) && word != w -> w = 0 } goto wait
    :: !is_free(w) && (w & WAITERS)
    fi;

    if /* shmx_futex_wait compares and sleeps at once */
    :: d_step { LOW(word) == LOW(w) -> asleep[_pid] = true }
    :: d_step { LOW(word) != LOW(w) -> w = 0 } goto wait
    fi;

    if
    :: d_step { !asleep[_pid] -> w = 0 } goto wait
#ifdef SLICES
    :: d_step { asleep[_pid] && !is_dead(word) && word != w -> asleep[_pid] = false; w = 0 } goto wait
    :: d_step { asleep[_pid] && is_dead(word) -> asleep[_pid] = false; w = word }
#endif
    fi;

    if /* take_over */
    :: d_step { same(w) -> w = w | (OVER & DIED); take(OVER) } goto unlock
    :: d_step { !same(w) -> w = 0 } goto wait
    fi;

unlock: /* shmx_lock_leave, shmx_lock_release: the exchange, and the wake where WAITERS was there */
    if
    :: d_step { !(word & WAITERS) -> leave(0, false) }
    :: d_step { word & WAITERS -> leave(0, false) };
      wake()
#ifdef ABANDON /* shmx_lock_abandon */
    :: d_step { !(word & WAITERS) -> leave(DIED, true) }
    :: d_step { word & WAITERS -> leave(DIED, true) };
      wake()
#endif
    fi;
    goto lock
  } unless {
    d_step {
      dying == _pid -> dying = 0;
      busy[_pid] = false;
      asleep[_pid] = false;
      w = 0;
      if
      :: inside == _pid -> inside = 0; damaged = true
      :: else
      fi
    }
#if defined(ROBUST) && !defined(NO_PENDING)
    /* handle_futex_death with list_op_pending, which shmx_robust_begin has set. It stays set here from
     * one locking to the next: at worst it wakes one for nothing. */
    if
    :: is_free(word) -> wake()
    :: d_step { NUMBER(word) == _pid && !(word & WAITERS) -> word = START(word) | DIED }
    :: d_step { NUMBER(word) == _pid && (word & WAITERS) -> word = START(word) | DIED | WAITERS };
      wake()
    :: !is_free(word) && NUMBER(word) != _pid
    fi;
#endif
    if /* another thread with this number */
    :: d_step { start_of[_pid] == 4 -> start_of[_pid] = 8; busy[_pid] = true; rounds = ROUNDS - 1 }
      goto lock
    :: d_step { start_of[_pid] == 4 -> start_of[_pid] = 8 }
    :: d_step { start_of[_pid] == 8 -> start_of[_pid] = 0 }
    fi
  };
finished:
  skip
}

#ifdef OWNERS_ONLY
#define may_die(n) (dying == 0 && busy[n] && inside == n)
#else
#define may_die(n) (dying == 0 && busy[n])
#endif

init {
  byte kills;
  byte n;
  atomic {
    for (n : 1 .. 3) { start_of[n] = 4; busy[n] = true; run Thread() }
    n = 0
  }
  do
  :: d_step { kills < KILLS && may_die(1) -> dying = 1; kills++ }
  :: d_step { kills < KILLS && may_die(2) -> dying = 2; kills++ }
  :: d_step { kills < KILLS && may_die(3) -> dying = 3; kills++ }
  :: dying == 0 -> break
  od
}
