/*
 * topic.pml: floor and tail of core/data/topic.c: one who publishes, one who reads.
 *
 * The ring has room for two messages, each of two words; a message is its number, in both. What the
 * publisher stores goes into a buffer out of which others see it in any order: relaxed stores may
 * overtake each other; a fence waits until all before it are seen, and a release is seen after them.
 * What the reader loads may come early: its look at the floor, unless a fence is before it, is made at
 * any time since the look at the tail.
 *
 * KILLS=1  a publisher is killed at any step, and another goes on from what is in memory
 *
 * What holds: what the reader takes is one message, and the one that it expects, or a newer one; the
 * floor never lets an older one pass. And nobody waits for another.
 *
 * What breaks it: FLOOR_AFTER (the floor is stored behind the data), NO_WRITER_FENCE, NO_READER_FENCE,
 * NO_RECHECK, TAIL_FIRST (the tail is stored before the data).
 */
#ifndef KILLS
#define KILLS 0
#endif
#ifndef MESSAGES
#define MESSAGES 4
#endif

#define ROOM 2
#define WAY(n) ((n) % ROOM)

byte one[ROOM], other[ROOM]; /* the words of each place: the number of its message, from 1 */
byte floor, tail;            /* of the messages, from 0 */
/* What is stored and not seen yet. */
bool floor_waits, one_waits, other_waits, tail_waits;
byte new_floor, new_one, new_tail;
byte dying;                  /* is killed: it makes no other step */
bool killing;                /* may still be killed */

#define nothing_waits (!floor_waits && !one_waits && !other_waits && !tail_waits)

/* Stores are seen: in any order, but the tail after all before it. Also those of the dead. */
proctype Memory() {
end:
  do
  :: d_step { floor_waits -> floor = new_floor; floor_waits = false }
  :: d_step { one_waits -> one[WAY(new_one)] = new_one + 1; one_waits = false }
  :: d_step { other_waits -> other[WAY(new_one)] = new_one + 1; other_waits = false }
#ifdef TAIL_FIRST
  :: d_step { tail_waits -> tail = new_tail; tail_waits = false }
#else
  :: d_step { tail_waits && !floor_waits && !one_waits && !other_waits -> tail = new_tail; tail_waits = false }
#endif
  od
}

/* In its turn, which is a lock's: what was stored in the turn before is seen. */
proctype Publisher() provided (dying == 0 || dying == _pid) {
put: {
    if
    :: atomic { tail == MESSAGES -> killing = false } goto finished
    :: tail < MESSAGES
    fi;
#ifndef FLOOR_AFTER
    atomic {
      new_floor = (tail + 1 > floor + ROOM -> tail + 1 - ROOM : floor);
      floor_waits = true
    }
#ifndef NO_WRITER_FENCE
    !floor_waits;
#endif
#endif
    atomic { new_one = tail; one_waits = true }
    other_waits = true;
#ifdef FLOOR_AFTER
    !one_waits && !other_waits;
    atomic {
      new_floor = (tail + 1 > floor + ROOM -> tail + 1 - ROOM : floor);
      floor_waits = true
    }
#endif
    atomic { new_tail = tail + 1; tail_waits = true }
    nothing_waits;
    goto put
  } unless {
    atomic { dying == _pid -> dying = 0 }
  };
  nothing_waits; /* the death is seen after what the dead has stored */
  goto put;
finished:
  skip
}

proctype Reader() {
  byte cursor, seen, a, b, early, expected;
  bool finished;
look:
  atomic { seen = tail; early = floor } /* acquire */
  if
  :: seen == cursor && cursor == MESSAGES -> goto over
  :: seen == cursor && cursor < MESSAGES -> (tail != seen); goto look
  :: seen != cursor
  fi;
  /* the copy; its words in either order */
  if
  :: a = one[WAY(cursor)]; b = other[WAY(cursor)]
  :: b = other[WAY(cursor)]; a = one[WAY(cursor)]
  fi;
#ifndef NO_READER_FENCE
  early = floor; /* after the copy */
#else
  if
  :: early = floor
  :: skip /* as it was before the copy */
  fi;
#endif
#ifndef NO_RECHECK
  if
  :: early > cursor -> cursor = early; goto look /* is_overrun */
  :: early <= cursor
  fi;
#endif
  assert(a == b && a == cursor + 1);
  assert(cursor >= expected);
  cursor++;
  expected = cursor;
  goto look;
over:
  skip
}

init {
  byte kills;
  atomic { killing = true; run Memory(); run Publisher(); run Reader() }
  do
  :: atomic { kills < KILLS && dying == 0 && killing -> kills++; dying = 2 }
  :: dying == 0 -> break
  od
}
