/*
 * readiness.pml: the descriptor of core/data/readiness.c: two senders, the thread, and the loop that
 * polls the descriptor and receives; and another consumer, which has the end for a while.
 *
 * The event in shared memory is one as event.pml has shown it to be: a sleep ends when the sequence is
 * not its ticket. All else is a step of its own. The loop receives one message a wake, or all, as it
 * likes.
 *
 * OTHER    the other consumer peeks at messages: it holds the end for a while, and then releases or unpeeks
 * KILLS=1  a sender is killed, perhaps between its commit and the notification; with SLICES, who sleeps
 *          on the event looks now and then. A look that would find nothing is left out.
 *
 * What holds: when all is quiet, no message is left; the loop of the only consumer never wakes in vain;
 * with another one, it wakes in vain at most once for each message and for each time that one holds the end.
 *
 * What breaks it: NO_LOCK (the thread looks and sets, or says that it has, in two steps), NO_CHANGED (the
 * thread is not told of a clear), NO_TICKET (it looks before it takes its ticket), SET_ONCE (the handle
 * does not clear); with OTHER, NO_TELL (who gives the end back tells nobody), and ANY_OWNER (the end is not
 * looked at).
 */
#ifndef KILLS
#define KILLS 0
#endif
#define SENDERS 2

byte there, sent;     /* messages in the ring; committed ones */
byte sequence;        /* of shmx_channel_memory.readable */
bool held;            /* by the other consumer */
bool set, readable;   /* the descriptor; shmx_readiness.readable */
byte lock;            /* shmx_readiness.lock: its owner */
byte changes;         /* of shmx_readiness.changed */
byte over;            /* senders that are done */
byte vain;            /* wakes of the loop that found nothing */
byte holds;           /* how often the other consumer has held the end */
byte kills;

#ifdef NO_LOCK
#define take_lock skip
#define leave_lock skip
#else
#define take_lock atomic { lock == 0 -> lock = _pid }
#define leave_lock lock = 0
#endif

#ifdef ANY_OWNER
#define ready (there > 0)
#else
#define ready (there > 0 && !held)
#endif

#ifdef SLICES
#define slice(condition) (condition)
#else
#define slice(condition) false
#endif

proctype Sender() {
  d_step { there++; sent++ } /* shmx_end_pass */
  if
  :: sequence++ /* shmx_event_notify */
  :: d_step { kills < KILLS -> kills++ }
  fi;
  over++
}

proctype Thread() {
  byte ticket;
  bool found;
watch:
#ifdef NO_TICKET
  take_lock;
  found = ready;
  ticket = sequence;
#else
  ticket = sequence; /* shmx_event_prepare */
  take_lock;
  found = ready;
#endif
  if
  :: found -> set = true; readable = true
  :: !found
  fi;
  leave_lock;
  if
  :: found -> goto rest
  :: !found
  fi;
end_watching:
  (sequence != ticket || slice(ready));
  goto watch;
rest:
  ticket = changes;
  if
  :: !readable -> goto watch
  :: readable
  fi;
end_resting:
  (changes != ticket);
  goto rest
}

proctype Loop() {
  bool cleared, all;
  byte count;
poll:
end_polling:
  (set);
  count = 0;
  if
  :: all = true
  :: all = false
  fi;
receive:
  if
  :: atomic { there > 0 && !held -> there--; count++ } /* the end and its turn: channel.pml */
    if
    :: all -> goto receive
    :: !all && there > 0 -> goto received
    :: !all && there == 0
    fi
  :: there == 0
  :: held
  fi;
#ifndef SET_ONCE
  /* shmx_readiness_rearm */
  take_lock;
  cleared = readable;
  if
  :: cleared -> set = false; readable = false
  :: !cleared
  fi;
  leave_lock;
  if
  :: cleared ->
#ifndef NO_CHANGED
    changes++
#else
    skip
#endif
  :: !cleared
  fi;
#endif
received:
  if
  :: count == 0 -> vain++
  :: count > 0
  fi;
#ifdef OTHER
  assert(vain <= sent + holds);
#else
  assert(vain == 0);
#endif
  goto poll
}

/* shmx_channel_peek, shmx_channel_release; it comes once a message at most, and then no more. */
proctype Other() {
  do
  :: atomic { holds < SENDERS && there > 0 && !held -> held = true; holds++ }
    if
    :: there--
    :: skip /* shmx_channel_unpeek */
    fi;
    held = false;
    if
    :: there > 0 ->
#ifndef NO_TELL
      sequence++
#else
      skip
#endif
    :: there == 0
    fi
  :: over == SENDERS && (there == 0 || holds == SENDERS) -> break
  od
}

init {
  atomic {
    run Sender(); run Sender(); run Thread(); run Loop();
#ifdef OTHER
    run Other();
#endif
  }
  timeout -> assert(there == 0 && over == SENDERS)
}
