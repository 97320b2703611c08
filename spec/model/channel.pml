/*
 * channel.pml: the ends of core/data/channel_*.c: two who send, two who receive, and those who are killed.
 *
 * A turn at an end is a lock as lock.pml has shown it to be, and to wait for the other end is an event
 * as event.pml has: who waits goes on when there is something to go on with. The ring has ROOM places.
 * The orders of memory matter: what is written into a place is seen at any time before the tail is, as
 * that is a release; and what is read is read before the head is seen to have passed.
 *
 * KILLS=n  so many are killed, each at any step; their turn goes to the next
 *
 * What holds: each message that was committed is received once, in order, whole; who is killed between
 * taking a message out and saying so has at most that one; nobody waits for ever.
 *
 * HALVES   who receives copies without a turn, and takes out what was copied in one, if it is first still
 *
 * What breaks it: TAIL_FIRST (committed before it is written), HEAD_FIRST (taken out before it is read),
 * NO_TURN (no turns among those who receive), FINISHED_LATE (looks whether it is finished after the tail), NOT_COMPARED (HALVES, where the head is not
 * looked at again in the turn).
 */
#ifndef KILLS
#define KILLS 0
#endif
#ifndef MESSAGES
#define MESSAGES 2 /* of each sender */
#endif
#define ROOM 2
#define WAY(n) ((n) % ROOM)

byte place[ROOM];     /* a message: its index, from 1 */
byte head, tail;
byte producer, consumer; /* whose turn it is, 0: nobody's */
bool finished, senders_over;
byte received[16];    /* how often, by index */
byte in_hand;         /* received by who was killed before he could say so */
byte dying;           /* is killed: it makes no other step */
bool busy[5];         /* may be killed */
byte sending = 2;     /* senders that are not done */

inline die_in(turn) {
  atomic {
    dying == _pid -> dying = 0;
    if
    :: turn == _pid -> turn = 0
    :: else
    fi
  }
}

proctype Sender() provided (dying == 0 || dying == _pid) {
  byte rounds, at;
again: {
      if
      :: atomic { rounds == MESSAGES -> busy[_pid] = false } goto finish
      :: rounds < MESSAGES
      fi;
      atomic { producer == 0 -> producer = _pid }
      if
      :: atomic { tail - head == ROOM -> producer = 0 }
        (tail - head != ROOM); goto again /* shmx_channel_wait */
      :: tail - head < ROOM -> at = tail
      fi;
#ifdef TAIL_FIRST
      tail = at + 1;
      place[WAY(at)] = at + 1;
#else
      place[WAY(at)] = at + 1;
      tail = at + 1;
#endif
      atomic { producer = 0; rounds++ }
      goto again
    } unless {
      die_in(producer)
    };
  goto again; /* another comes in its place, and sends the rest, or one again */
finish:
  atomic { sending--; senders_over = (sending == 0) }
  if
  :: senders_over && !finished -> finished = true
  :: else
  fi
}

proctype Receiver() provided (dying == 0 || dying == _pid) {
  byte at, got;
  bool over;
again: {
#ifdef HALVES
    at = head;
    if
    :: tail == at /* the long way */
    :: tail != at ->
      got = place[WAY(at)];
      atomic { consumer == 0 -> consumer = _pid }
#ifndef NOT_COMPARED
      if
      :: atomic { head != at -> consumer = 0 } goto again
      :: head == at
      fi;
#endif
      goto take
    fi;
#endif
#ifndef NO_TURN
    atomic { consumer == 0 -> consumer = _pid }
#endif
#ifdef FINISHED_LATE
    at = tail;
    over = finished;
#else
    over = finished;
    at = tail;
#endif
    if
    :: atomic { at == head && over -> consumer = 0; busy[_pid] = false } goto done
    :: atomic { at == head && !over -> consumer = 0 } (tail != at || finished); goto again
    :: at != head -> at = head
    fi;
#ifdef HEAD_FIRST
    head = at + 1;
    got = place[WAY(at)];
#else
    got = place[WAY(at)];
take:
    atomic { head = at + 1; in_hand = in_hand + 1 }
#endif
    atomic {
      received[at]++;
#ifndef HEAD_FIRST
      in_hand--;
#endif
      assert(got == at + 1 && received[at] == 1);
#ifndef NO_TURN
      consumer = 0
#endif
    }
    goto again
  } unless {
    die_in(consumer)
  };
  over = false;
  goto again;
done:
  /* finished, and all is received: nothing that was committed is left */
  assert(head == tail)
}

init {
  byte i, lost, kills;
  atomic {
    for (i : 1 .. 4) { busy[i] = true }
    run Sender(); run Sender(); run Receiver(); run Receiver();
    i = 0
  }
  do
  :: atomic { kills < KILLS && dying == 0 && busy[1] -> kills++; dying = 1 }
  :: atomic { kills < KILLS && dying == 0 && busy[2] -> kills++; dying = 2 }
  :: atomic { kills < KILLS && dying == 0 && busy[3] -> kills++; dying = 3 }
  :: atomic { kills < KILLS && dying == 0 && busy[4] -> kills++; dying = 4 }
  :: dying == 0 -> break
  od;
  timeout ->
  atomic {
    for (i : 0 .. 15) {
      if
      :: i < tail && received[i] == 0 -> lost++
      :: else
      fi
    }
    assert(lost == in_hand && lost <= KILLS && head == tail)
  }
}
