/*
 * dict.pml: a shard of core/data/dict.h: its log and its sequence, one who changes it, one who reads without
 * the lock (shmx_dict_read); with POOL, two shards that move cells to the pool and back (pool.c).
 *
 * One key, whose values are of one cell each, of two words: the number of the change that made them. A set
 * builds the new value in the first free cell and puts it in the place of the old one, whose cell is the
 * next to be used, or writes the old one over, through the log; an eviction takes it out. What a reader may
 * see is stored into a buffer out of which it comes in any order: relaxed stores may overtake each other; a
 * fence waits until all before it are seen, and a release is seen after them. The lock is one as lock.pml
 * has shown it to be: what was stored before it was left, or before its owner's death, is seen by the next
 * who has it.
 *
 * KILLS=n    so many who change are killed, each at any step, also while they apply the log of the dead
 * CHANGES=n  so many changes, in any order
 *
 * What holds: what is read is whole, and was there at some time while it was read; each change is done or
 * not; at the end each cell is in one place; nobody waits for ever.
 *
 * What breaks it: NO_LOG (it is not applied by the next), LOG_LATE (written after the sequence is odd),
 * EVEN_EARLY (before all is stored), FREED_FIRST (the old cell is free before the change is committed),
 * IN_PLACE (a value of two words is written over, without the log), NO_COMMIT_FENCE, NO_READER_FENCE,
 * NO_RECHECK, NO_ODD (who reads does not look for it); with POOL: NO_LOG, NOT_FROZEN (nobody looks),
 * FROZEN_LATE (after the commit), THAWED_EARLY (before all is stored).
 */
#ifndef KILLS
#define KILLS 0
#endif
#ifndef CHANGES
#define CHANGES 3
#endif

byte dying;   /* is killed: it makes no other step */
bool killing; /* may still be killed */

#ifndef POOL

#define CELLS 2

byte owner;                              /* of the shard's lock */
byte sequence;                           /* as it is seen */
byte first = 1;                          /* the bucket: a cell, or none */
byte one[CELLS + 1], other[CELLS + 1];   /* words of the values */
byte free = 2, more[CELLS + 1];          /* these only who has the lock looks at */
/* The log: no cell, no change of its `more`; or a value, and then of its words instead. */
byte log_first, log_free, log_cell, log_more, log_value;
/* What is stored and not seen yet. */
bool sequence_waits, first_waits, one_waits, other_waits;
byte new_sequence, new_first, new_cell, new_value;

byte committed, finished; /* changes; and those that were done before somebody left */
byte none;                /* the last of them that was an eviction, if that is not 0 */

#define nothing_waits (!sequence_waits && !first_waits && !one_waits && !other_waits)
#define is_odd        (sequence & 1)

/* Stores are seen: in any order, but a sequence after what was before it, as both are releases. Also those
 * of the dead. */
proctype Memory() {
end:
  do
  :: d_step { one_waits -> one[new_cell] = new_value; one_waits = false }
  :: d_step { other_waits -> other[new_cell] = new_value; other_waits = false }
  :: d_step { first_waits -> first = new_first; first_waits = false }
#if defined(NO_COMMIT_FENCE)
  :: d_step { sequence_waits && !one_waits && !other_waits && ((new_sequence & 1) || !first_waits) ->
      sequence = new_sequence; sequence_waits = false }
#else
  :: d_step { sequence_waits && !one_waits && !other_waits && !first_waits ->
      sequence = new_sequence; sequence_waits = false }
#endif
  od
}

inline make_even() { /* finish */
  !sequence_waits;
  atomic { new_sequence = sequence + 1; sequence_waits = true }
}

inline apply() { /* of shard.c */
  atomic { new_first = log_first; first_waits = true }
  if
  :: atomic { log_value != 0 -> new_cell = log_cell; new_value = log_value; one_waits = true }
    other_waits = true
  :: atomic { log_value == 0 && log_cell != 0 -> more[log_cell] = log_more }
  :: log_value == 0 && log_cell == 0
  fi;
  free = log_free
}

/* shmx_shard_enter, shmx_shard_settle */
inline enter() {
  atomic { owner == 0 -> owner = _pid }
  if
  :: is_odd ->
#ifndef NO_LOG
    apply();
#endif
    make_even()
  :: !is_odd
  fi;
  nothing_waits
}

inline leave() {
  atomic { nothing_waits && owner == _pid -> finished = committed; owner = 0 }
}

/* shmx_shard_change, shmx_shard_commit: the bucket's first, the free cells, a cell's link */
inline write_log(its_first, its_free, its_cell, its_more, its_value) {
  log_first = its_first;
  log_free = its_free;
  log_cell = its_cell;
  log_more = its_more;
  log_value = its_value
}

inline make_odd(evicts) {
  atomic {
    new_sequence = sequence + 1;
    sequence_waits = true;
    committed++;
    none = (evicts -> committed : none)
  }
}

inline commit(evicts, its_first, its_free, its_cell, its_more, its_value) {
#ifdef LOG_LATE
  make_odd(evicts);
  write_log(its_first, its_free, its_cell, its_more, its_value);
#else
  write_log(its_first, its_free, its_cell, its_more, its_value);
  make_odd(evicts);
#endif
#ifndef NO_COMMIT_FENCE
  !sequence_waits;
#endif
#ifdef EVEN_EARLY
  make_even();
#endif
  apply();
#ifndef EVEN_EARLY
  make_even()
#endif
}

proctype Writer() provided (dying == 0 || dying == _pid) {
  byte changes, built, old, rest;
change: {
    if
    :: atomic { changes == CHANGES -> killing = false } goto over
    :: changes < CHANGES -> changes++
    fi;
    enter();
    old = first;
    if
    :: old != 0 -> /* shmx_entry_put of nothing: an eviction */
#ifdef FREED_FIRST
      more[old] = free;
      free = old;
#endif
      rest = (free == old -> more[old] : free);
      commit(true, 0, old, old, rest, 0)
    :: old != 0 -> /* shmx_entry_rewrite, of several words */
      commit(false, old, free, old, 0, committed + 1)
#ifdef IN_PLACE
    :: old != 0 ->
      atomic {
        committed++; new_cell = old; new_value = committed; one_waits = true; other_waits = true
      }
#endif
    :: free != 0 -> /* shmx_entry_build, shmx_entry_put */
      built = free;
      rest = more[built];
      atomic { new_cell = built; new_value = committed + 1; one_waits = true }
      other_waits = true;
#ifdef FREED_FIRST
      free = (old != 0 -> old : rest);
      more[old] = rest;
#endif
      if
      :: old != 0 -> commit(false, built, old, old, rest, 0)
      :: old == 0 -> commit(false, built, rest, 0, 0, 0)
      fi
    fi;
    leave();
    goto change
  } unless {
    atomic { dying == _pid -> dying = 0 }
  };
  if /* the death is seen after what the dead has stored */
  :: atomic { nothing_waits && owner == _pid -> owner = 0 }
  :: atomic { nothing_waits && owner != _pid }
  fi;
  goto change; /* another comes */
over:
  skip
}

proctype Reader() {
  byte reads, seen, early, cell, a, b, lowest;
look:
  atomic { lowest = (finished > lowest -> finished : lowest) }
again:
  atomic { seen = sequence; early = sequence } /* shmx_shard_sequence: acquire */
#ifndef NO_ODD
  if
  :: (seen & 1) && sequence != seen -> goto again
  :: seen & 1 -> /* look_locked: after some tries */
    enter();
    leave();
    goto again
  :: !(seen & 1)
  fi;
#endif
  /* look: the copy; its words in either order */
  cell = first;
  if
  :: cell == 0
  :: cell != 0 -> a = one[cell]; b = other[cell]
  :: cell != 0 -> b = other[cell]; a = one[cell]
  fi;
  /* shmx_shard_same */
#ifndef NO_READER_FENCE
  early = sequence;
#else
  if
  :: early = sequence
  :: skip /* as it was before the copy */
  fi;
#endif
#ifndef NO_RECHECK
  if
  :: early != seen -> goto again
  :: early == seen
  fi;
#endif
  if
  :: d_step { cell != 0 ->
      assert(a == b && a >= lowest && a <= committed);
      lowest = a
    }
  :: d_step { cell == 0 -> assert(none != 0 && none >= lowest) }
  fi;
  d_step { reads++; cell = 0; a = 0; b = 0; seen = 0; early = 0 }
  if
  :: reads < 2 -> goto look
  :: reads == 2
  fi
}

/* Each cell is in one place. */
inline count_cells() {
  d_step {
    at = free;
    met = (first != 0);
    do
    :: at != 0 && met <= CELLS -> assert(at != first); met++; at = more[at]
    :: else -> break
    od;
    assert(met == CELLS)
  }
}

init {
  byte kills, at, met;
  atomic { killing = true; run Memory(); run Writer(); run Reader() }
  do
  :: atomic { kills < KILLS && dying == 0 && killing -> kills++; dying = 2 }
  :: dying == 0 -> break
  od;
  _nr_pr == 2 && nothing_waits; /* all but the memory are done */
  enter();
  leave();
  count_cells()
}

#else

#define CELLS 3
#define NONE  0

byte pool = 3, shard_free[3];    /* lists of cells: the pool's, and those of shards 1 and 2 */
byte more[CELLS + 1];
byte pool_owner, owner[3];       /* of the locks */
byte frozen;                     /* by which shard */
bool odd[3];                     /* its sequence */
byte log_cell[3], log_more[3], log_pool[3], log_free[3];
bool busy[3];                    /* may be killed */

inline apply(shard) {
  more[log_cell[shard]] = log_more[shard];
  shard_free[shard] = log_free[shard];
  pool = log_pool[shard]
}

inline settle(shard) {
  if
  :: odd[shard] ->
#ifndef NO_LOG
    apply(shard);
#endif
    odd[shard] = false
  :: !odd[shard]
  fi
}

/* move, commit: the first cell of one list goes before the other. */
inline move_cell(shard, moved, its_more, its_free, its_pool) {
#ifndef FROZEN_LATE
  frozen = shard;
#endif
  log_cell[shard] = moved;
  log_more[shard] = its_more;
  log_free[shard] = its_free;
  log_pool[shard] = its_pool;
  odd[shard] = true;
#ifdef FROZEN_LATE
  frozen = shard;
#endif
#ifdef THAWED_EARLY
  frozen = NONE;
#endif
  apply(shard);
  odd[shard] = false;
  frozen = NONE
}

/* -EOWNERDEAD for the next of each lock. */
inline die() {
  dying = 0; cell = 0; rest = 0; ice = 0;
  pool_owner = (pool_owner == _pid -> 0 : pool_owner);
  owner[1] = (owner[1] == _pid -> 0 : owner[1]);
  owner[2] = (owner[2] == _pid -> 0 : owner[2])
}

/* Of the shard that is its number: takes and gives, in any order. */
proctype Mover() provided (dying == 0 || dying == _pid) {
  byte moves, cell, rest, ice;
move: {
    if
    :: atomic { moves == CHANGES -> busy[_pid] = false } goto done
    :: moves < CHANGES -> moves++
    fi;
retry:
    atomic { owner[_pid] == 0 -> owner[_pid] = _pid }
    settle(_pid);
    atomic { pool_owner == 0 -> pool_owner = _pid } /* enter, of pool.c */
    ice = frozen;
#ifndef NOT_FROZEN
    if
    :: ice != NONE && ice != _pid -> /* -ERESTART: shmx_pool_thaw, and begin anew */
      pool_owner = 0;
      owner[_pid] = 0;
      atomic { owner[ice] == 0 -> owner[ice] = _pid }
      settle(ice);
      if
      :: atomic { pool_owner == 0 -> pool_owner = _pid }
        if
        :: frozen == ice -> frozen = NONE
        :: frozen != ice
        fi;
        pool_owner = 0
      fi;
      owner[ice] = 0;
      ice = 0;
      goto retry
    :: ice == NONE || ice == _pid
    fi;
#endif
    frozen = NONE;
    if
    :: pool != 0 -> /* take_used */
      cell = pool;
      rest = more[cell];
      move_cell(_pid, cell, shard_free[_pid], cell, rest)
    :: shard_free[_pid] != 0 -> /* shmx_pool_give */
      cell = shard_free[_pid];
      rest = more[cell];
      move_cell(_pid, cell, pool, rest, cell)
    :: pool == 0 && shard_free[_pid] == 0
    fi;
    pool_owner = 0;
    owner[_pid] = 0;
    d_step { cell = 0; rest = 0; ice = 0 }
    goto move
  } unless {
    if
    :: d_step { dying == _pid -> die() } goto move /* another comes */
    :: d_step { dying == _pid -> die(); busy[_pid] = false } /* or nobody */
    fi
  };
done:
  skip
}

inline count_list(list) {
  at = list;
  do
  :: at != 0 && met <= CELLS -> met++; at = more[at]
  :: else -> break
  od
}

init {
  byte kills, at, met;
  atomic { more[3] = 2; more[2] = 1; busy[1] = true; busy[2] = true; run Mover(); run Mover() }
  do
  :: d_step { kills < KILLS && dying == 0 && busy[1] -> kills++; dying = 1 }
  :: d_step { kills < KILLS && dying == 0 && busy[2] -> kills++; dying = 2 }
  :: dying == 0 -> break
  od;
  !busy[1] && !busy[2];
  atomic { /* the last look at each shard */
    settle(1);
    settle(2);
    count_list(pool);
    count_list(shard_free[1]);
    count_list(shard_free[2]);
    assert(met == CELLS)
  }
}

#endif
