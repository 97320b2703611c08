/*
 * event.pml: the eventcount of core/sync/event.[ch]: two who wait and two who notify.
 *
 * Here the orders of memory matter. Each process has a buffer for one store, which all others see only
 * when Memory takes it out, at any time; a fence waits for that. The fetch_or of shmx_event_prepare is
 * such a store: without its fence, the load of the condition may overtake it. futex(2) needs its value,
 * and so comes after it.
 *
 * (none)     shmx_event_notify: one waits for what the first notifier changes, the other for both
 * ONE        shmx_event_notify_one: each change is something that one waiter can use
 * CONDITION  as ONE, by core/sync/condition.c: who sleeps goes on only if the sequence has changed
 * KILLS=n    so many are killed, each at any step; FIRST, LAST: which (1, 2 wait; 3, 4 notify)
 * SLICES     who sleeps looks now and then. A look that would find nothing is left out. With it,
 *            NO_NOTIFY_FENCE is shmx_event_notify_lightly, and holds
 *
 * What holds: when all is quiet, nobody sleeps whose condition is true; and nobody goes round in circles.
 *
 * What breaks it: NO_PREPARE_FENCE, NO_NOTIFY_FENCE without SLICES, NO_LOOK, NO_BUMP, BIT_ALONE; without SLICES, a kill
 * between the change and the wake; and with CONDITION that kill even so, as nobody was notified.
 */
#ifndef KILLS
#define KILLS 0
#endif
#ifndef FIRST
#define FIRST 1
#define LAST 4
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifdef CONDITION
#define ONE
#endif

#define SLEEPERS 1 /* SHMX_EVENT_SLEEPERS */
#define STEP     2 /* SHMX_EVENT_STEP */

byte word;        /* shmx_event.word */
byte ticket[5];   /* what shmx_event_prepare returned */
bool buffered[5]; /* a store that others do not see yet */
bool asleep[5];   /* within futex(2) */
bool busy[5];     /* may be killed */
byte dying;       /* is killed: it makes no other step */
byte made[5];     /* the condition: how often each notifier has changed it; or */
byte there;       /* with ONE, how many changes nobody has used yet */
byte used[5];     /* how many a waiter has seen, or used */
byte mutex;       /* with CONDITION: its owner */

#ifdef ONE
#define holds(waiter) (there > 0)
#else
#define holds(waiter) (made[3] > used[waiter] && (waiter == 1 || made[4] > used[waiter]))
#endif

inline change(who) {
#ifdef ONE
  there++
#else
  made[who]++
#endif
}

#ifndef SLICES
#define awake (!asleep[_pid])
#elif defined(CONDITION)
#define awake (!asleep[_pid] || word != ticket[_pid])
#else
#define awake (!asleep[_pid] || word != ticket[_pid] || holds(_pid))
#endif

/* Takes stores out of the buffers. */
proctype Memory() {
end:
  do
  :: d_step { buffered[1] -> buffered[1] = false; word = word | SLEEPERS; ticket[1] = word }
  :: d_step { buffered[2] -> buffered[2] = false; word = word | SLEEPERS; ticket[2] = word }
  :: d_step { buffered[3] -> buffered[3] = false; change(3) }
  :: d_step { buffered[4] -> buffered[4] = false; change(4) }
  od
}

inline die() {
  dying == _pid -> dying = 0;
  busy[_pid] = false;
  asleep[_pid] = false;
  if
  :: mutex == _pid -> mutex = 0 /* its next owner is told: lock.pml */
  :: else
  fi
}

proctype Waiter() provided (dying == 0 || dying == _pid) {
look: {
#ifdef CONDITION
    if
    :: d_step { used[_pid] < ROUNDS && mutex == 0 -> mutex = _pid } /* lock_again */
    :: d_step { used[_pid] == ROUNDS -> busy[_pid] = false } goto finished
    fi;
    if
    :: d_step { holds(_pid) -> there--; used[_pid]++; mutex = 0 } goto look
    :: d_step { !holds(_pid) -> word = word | SLEEPERS; ticket[_pid] = word } /* shmx_condition_ticket */
    fi;
    mutex = 0;
#else
    if
    :: d_step { used[_pid] < ROUNDS -> buffered[_pid] = true } /* shmx_event_prepare */
    :: d_step { used[_pid] == ROUNDS -> busy[_pid] = false } goto finished
    fi;
#ifndef NO_PREPARE_FENCE
    !buffered[_pid];
#endif
    if /* whether the condition holds */
#ifdef ONE
    :: d_step { holds(_pid) -> there--; used[_pid]++ } goto look
#else
    :: d_step { holds(_pid) -> used[_pid]++ } goto look
#endif
#ifdef NO_LOOK
    :: true
#else
    :: !holds(_pid)
#endif
    fi;
#endif
sleep: /* shmx_event_wait; shmx_condition_sleep */
    if
    :: d_step { !buffered[_pid] && word == ticket[_pid] -> asleep[_pid] = true }
    :: d_step { !buffered[_pid] && word != ticket[_pid] -> skip }
    fi;
end_asleep:
    if
#ifdef CONDITION
    :: d_step { awake && (word | SLEEPERS) != ticket[_pid] -> asleep[_pid] = false } goto look
    /* -EAGAIN: without the bit nobody would ever notify us, and we would not sleep */
    :: d_step { awake && (word | SLEEPERS) == ticket[_pid] -> asleep[_pid] = false; assert(word & SLEEPERS) }
      goto sleep
#else
    :: d_step { awake -> asleep[_pid] = false; ticket[_pid] = 0 } goto look
#endif
    fi
  } unless {
    d_step { die() }
  };
finished:
  skip
}

#define next ((word & ~SLEEPERS) + BUMP)
#ifdef NO_BUMP
#define BUMP 0
#else
#define BUMP STEP
#endif

inline wake_all() { /* shmx_event_wake_all: adds 1, which takes the bit, or sets it for nobody */
  if
  :: d_step { word & SLEEPERS -> word = next };
    d_step { asleep[1] = false; asleep[2] = false }
  :: d_step { !(word & SLEEPERS) -> word = word | SLEEPERS }
  fi
}

proctype Notifier() provided (dying == 0 || dying == _pid) {
  byte w, rounds;
again: {
#ifdef CONDITION
    d_step { mutex == 0 -> mutex = _pid }
    d_step { change(_pid); mutex = 0 }
#else
    buffered[_pid] = true; /* the change */
#endif
#ifndef NO_NOTIFY_FENCE
    !buffered[_pid];
#endif
    if /* shmx_event_notify, shmx_event_notify_one */
    :: !(word & SLEEPERS)
    :: word & SLEEPERS ->
#ifdef ONE
      d_step { word = word + STEP; w = word } /* shmx_event_wake_one */
      if
      :: d_step { asleep[1] -> asleep[1] = false; w = 0 }
      :: d_step { asleep[2] -> asleep[2] = false; w = 0 }
      :: !asleep[1] && !asleep[2] ->
#ifdef BIT_ALONE
        d_step {
          if
          :: word == w -> word = w & ~SLEEPERS
          :: else
          fi;
          w = 0
        }
#else
        w = 0;
        wake_all()
#endif
      fi
#else
      wake_all()
#endif
    fi;
    if
    :: d_step { !buffered[_pid] && rounds + 1 < ROUNDS -> rounds++ } goto again
    :: d_step { !buffered[_pid] && rounds + 1 == ROUNDS -> busy[_pid] = false }
    fi
  } unless {
    d_step { die() }
  }
}

#define may_die(n) (dying == 0 && busy[n] && FIRST <= n && n <= LAST)

init {
  byte n, kills;
  atomic {
    for (n : 1 .. 4) { busy[n] = true }
    run Waiter(); run Waiter(); run Notifier(); run Notifier(); run Memory();
    n = 0
  }
  do
  :: d_step { kills < KILLS && may_die(1) -> dying = 1; kills++ }
  :: d_step { kills < KILLS && may_die(2) -> dying = 2; kills++ }
  :: d_step { kills < KILLS && may_die(3) -> dying = 3; kills++ }
  :: d_step { kills < KILLS && may_die(4) -> dying = 4; kills++ }
  :: dying == 0 -> break
  od;
  timeout -> assert(!(asleep[1] && holds(1)) && !(asleep[2] && holds(2)))
}
