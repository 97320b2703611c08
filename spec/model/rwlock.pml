/*
 * rwlock.pml: the slots and the gate of core/sync/rwlock.c: two who read, two who write.
 *
 * The gate is a lock as lock.pml has shown it to be: one owner; that of the dead goes to the next, who
 * is told. `left` is an event as event.pml has shown it: who has prepared wakes by the next notification.
 * The orders of memory matter: what a process has stored last, others do not see until its Memory shows
 * it, at any time; a fence waits for that. Names in slots and in the gate are put there by
 * compare-exchanges, which do not overlook each other; loads may.
 *
 * SLOTS=n   SHMX_READERS: with 1, there are more who read than slots
 * DEADLINES a writer may give up while others read
 * KILLS=n   so many are killed, each at any step
 * SLICES    who waits for `left` looks now and then. A look that would find nothing is left out
 * FOREVER   two read again and again; and a writer who has the gate gets in (-a -f)
 *
 * What holds: nobody writes while another reads or writes; who comes after a writer that died writing is
 * told, until one has written; nobody waits for ever.
 *
 * What breaks it: NO_READER_FENCE, NO_WRITER_FENCE, GATE_FIRST, NO_DAMAGE; kills without SLICES; FOREVER
 * with NO_QUEUE.
 */
#ifndef KILLS
#define KILLS 0
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifdef FOREVER
#define ROUNDS 0
#elif !defined(ROUNDS)
#define ROUNDS 1
#endif

#define DIED 8 /* SHMX_LOCK_DIED, of a gate that was abandoned */

mtype = { NOTHING, NAME, NO_NAME, GATE };
byte slot[SLOTS], seen_slot[SLOTS]; /* readers: what is there, and what loads see of it */
byte gate, seen_gate;
mtype stored[5] = NOTHING; /* what others do not see yet */
byte place[5];             /* the slot that this is about */
bool changed[5];           /* shmx_event_notify has been called since shmx_event_prepare */
bool damaged;              /* shmx_rwlock_memory.damaged */
bool dead[5];
byte dying;                /* is killed: it makes no other step */
bool busy[5];              /* may be killed */
bool reads[5], writes[5];  /* what they do: no part of the lock */
bool harm;                 /* a writer has died writing, and none has written since */

#define nothing_stored (stored[_pid] == NOTHING)

proctype Memory(byte who) {
end:
  do
  :: d_step { stored[who] == NAME -> seen_slot[place[who]] = who; stored[who] = NOTHING }
  :: d_step {
      stored[who] == NO_NAME -> stored[who] = NOTHING; slot[place[who]] = 0; seen_slot[place[who]] = 0
    }
  :: d_step { stored[who] == GATE -> seen_gate = who; stored[who] = NOTHING }
  od
}

inline notify() { /* shmx_event_notify: its fence is before */
  d_step { nothing_stored -> changed[1] = true; changed[2] = true; changed[3] = true; changed[4] = true }
}

inline pass_gate() { /* shmx_lock_acquire; -EOWNERDEAD */
  if
  :: d_step { nothing_stored && gate == 0 -> gate = _pid; stored[_pid] = GATE }
  :: d_step { nothing_stored && (gate == DIED || (gate != 0 && dead[gate])) -> gate = _pid; stored[_pid] = GATE };
#ifndef NO_DAMAGE
    damaged = true
#endif
  fi
}

inline leave_gate(what) { /* shmx_lock_release, shmx_lock_abandon; an exchange by the owner */
  d_step { nothing_stored -> gate = what; seen_gate = what }
}

/* bury: takes the dead out of the slots. One who has not seen it yet does not take out another's name. */
inline bury() {
  d_step {
    for (n : 0 .. SLOTS - 1) {
      if
      :: dead[seen_slot[n]] -> slot[n] = 0; seen_slot[n] = 0
      :: else
      fi
    }
    n = 0
  }
}
#define some_dead (dead[seen_slot[0]] || dead[seen_slot[SLOTS - 1]])
#define all_free  (seen_slot[0] == 0 && seen_slot[SLOTS - 1] == 0)
#define room      (slot[0] == 0 || slot[SLOTS - 1] == 0)
#define first     ((_pid - 1) % SLOTS) /* first_slot */

inline enter_slot() { /* the compare-exchange that succeeds */
  d_step {
    nothing_stored && room ->
      place[_pid] = (slot[first] == 0 -> first : SLOTS - 1 - first);
      slot[place[_pid]] = _pid;
      stored[_pid] = NAME
  }
}

inline start_reading() {
  assert(!writes[3] && !writes[4]);
  reads[_pid] = true
}

inline die() {
  d_step {
    dying == _pid -> dying = 0;
    busy[_pid] = false;
    reads[_pid] = false;
    n = 0;
    if
    :: writes[_pid] -> writes[_pid] = false; harm = true
    :: else
    fi
  }
  d_step { nothing_stored -> dead[_pid] = true }
}

proctype Reader() provided (dying == 0 || dying == _pid) {
  byte n, rounds;
read: { /* shmx_rwlock_read */
#ifdef GATE_FIRST
    if
    :: seen_gate == 0 -> enter_slot(); d_step { start_reading() } goto told
    :: seen_gate != 0
    fi;
#endif
    if /* enter */
    :: enter_slot()
    :: !room ->
wait_for_slot:
      atomic { nothing_stored -> changed[_pid] = false }
      if
      :: enter_slot()
      :: !room ->
        if /* wait_for_leaving */
        :: changed[_pid]
#ifdef SLICES
        :: some_dead || room -> bury()
#endif
        fi;
        goto wait_for_slot
      fi
    fi;
#ifndef NO_READER_FENCE
    nothing_stored;
#endif
    if
    :: d_step { seen_gate == 0 -> start_reading() } goto told
    :: seen_gate != 0
    fi;
    d_step { nothing_stored -> stored[_pid] = NO_NAME } /* leave_slot */
    notify();
#ifdef NO_QUEUE
    goto read;
#endif
    pass_gate(); /* enter_through_gate */
    if
    :: enter_slot();
      leave_gate(0);
      d_step { start_reading() }
    :: !room ->
      leave_gate(0);
      goto wait_for_slot
    fi;
told:
    assert(!harm || damaged); /* is_damaged: -EOWNERDEAD */
    d_step { nothing_stored -> reads[_pid] = false; stored[_pid] = NO_NAME } /* shmx_rwlock_unlock */
    notify();
    if
    :: d_step { ROUNDS == 0 || rounds + 1 < ROUNDS -> rounds = (ROUNDS -> rounds + 1 : 0) } goto read
    :: d_step { rounds + 1 == ROUNDS -> busy[_pid] = false }
    fi
  } unless {
    die()
  }
}

proctype Writer() provided (dying == 0 || dying == _pid) {
  byte n, count;
  { /* shmx_rwlock_write */
    pass_gate();
drain:
#ifdef NO_WRITER_FENCE
    changed[_pid] = false;
#else
    atomic { nothing_stored -> changed[_pid] = false } /* shmx_event_prepare: its fence is after the gate */
#endif
    do /* count_readers */
    :: d_step { n < SLOTS -> count = count + (seen_slot[n] != 0); n++ }
    :: n == SLOTS -> break
    od;
    if
    :: d_step { count > 0 -> count = 0; n = 0 }
      if /* wait_for_leaving */
      :: changed[_pid] -> goto drain
#ifdef SLICES
      :: some_dead || all_free -> bury(); goto drain
#endif
#ifdef DEADLINES
      :: leave_gate(0) -> goto written /* -ETIMEDOUT */
#endif
      fi
    :: d_step {
        count == 0 -> n = 0;
        assert(!writes[3] && !writes[4] && !reads[1] && !reads[2]);
        assert(!harm || damaged); /* is_damaged: -EOWNERDEAD */
        writes[_pid] = true
      }
    fi;
    if /* shmx_rwlock_unlock; shmx_rwlock_close */
    :: d_step { damaged = false; harm = false; writes[_pid] = false };
      leave_gate(0)
    :: d_step { nothing_stored -> harm = true; writes[_pid] = false; gate = DIED; seen_gate = DIED }
    fi;
written:
    busy[_pid] = false
  } unless {
    die()
  }
}

init {
  byte n, kills;
  atomic {
    run Reader(); run Reader(); run Writer(); run Writer();
    for (n : 1 .. 4) { busy[n] = true; run Memory(n) }
    n = 0
  }
  do
  :: d_step { kills < KILLS && dying == 0 && busy[1] -> dying = 1; kills++ }
  :: d_step { kills < KILLS && dying == 0 && busy[2] -> dying = 2; kills++ }
  :: d_step { kills < KILLS && dying == 0 && busy[3] -> dying = 3; kills++ }
  :: d_step { kills < KILLS && dying == 0 && busy[4] -> dying = 4; kills++ }
  :: dying == 0 -> break
  od
}

#ifdef FOREVER
ltl gets_in { [] ((gate == 3) -> <> (writes[3] || gate != 3)) }
#endif
