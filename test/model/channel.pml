/*
 * A channel and its doorbell (design section 5): no lost wake-up, nothing lost, nothing twice, and
 * the owner frees a buffer neither too early nor never.
 *
 *        sender (owns the buffers)                    receiver
 *   published, gen[s], payload[s], closed        consumed, hold[s], asleep
 *        |                                            |
 *     [store buffer]                             [store buffer]          FIFO, BUFFER long: TSO
 *        |                                            |
 *        +---------- memory, one writer per word -----+              bell: the kernel's, at once
 *
 * The sender fills a slot, publishes its name in a ring of RING cells, and frees the slot when it can, for MESSAGES
 * messages over SLOTS slots. Either sleeps when it has nothing to do: the receiver on an empty ring, the sender on a
 * full one. Message m is named m and lies in slot m % SLOTS; its generation is 2 * (m / SLOTS).
 *
 * Checked: what is read is what was named (wrong_bytes); every message of a living sender, and each that a dead one had
 * published, is received, in order, once (lost_message: also a stale one); nobody sleeps with work to do (a deadlock,
 * which Spin reports as an invalid end state).
 *
 * With BATCH 2 the receiver takes up to two messages with one fence and one store of its index (receiver_batch.cc). With
 * CORK the sender makes messages known and rings for several of them at once (Sender::setCorked).
 *
 * Switches: MESSAGES RING SLOTS BATCH CORK BUFFER SENDER_DIES RECEIVER_DIES, CHECK_BYTES or CHECK_MESSAGES, then one
 * MUTANT_x or REACH_x.
 */

#ifndef MESSAGES
#define MESSAGES 4
#endif
#ifndef RING
#define RING 1              /* cells */
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef BATCH
#define BATCH 1             /* at most SLOTS */
#endif
#ifndef CORK
#define CORK 0
#endif
#ifndef BUFFER
#define BUFFER 3
#endif
#ifndef SENDER_DIES
#define SENDER_DIES 0
#endif
#ifndef RECEIVER_DIES
#define RECEIVER_DIES 0
#endif

#define S 0
#define R 1

/* ---- memory ---- */
byte published;             /* S: messages made known */
byte cell[RING];            /* S: the names in the ring */
byte gen[SLOTS];            /* S: generation, low bit = revoking */
byte payload[SLOTS];        /* S: the bytes, as the message that they are of, + 1 */
bit waits;                  /* S: waits for room */
bit asleep[2];              /* each: about to sleep */
byte consumed;              /* R: messages taken */
byte hold[SLOTS];           /* R: its counts */

#define PUBLISHED 0
#define CELL 1
#define GEN 2
#define PAYLOAD 3
#define WAITS 4
#define ASLEEP 5
#define CONSUMED 6
#define HOLD 7

byte kind, at, value;       /* scratch, 0 between steps */

inline land(p, k, a, v) {
    if
    :: k == PUBLISHED -> published = v
    :: k == CELL -> cell[a] = v
    :: k == GEN -> gen[a] = v
    :: k == PAYLOAD -> payload[a] = v
    :: k == WAITS -> waits = v
    :: k == ASLEEP -> asleep[p] = v
    :: k == CONSUMED -> consumed = v
    :: k == HOLD -> hold[a] = v
    fi
}

chan buffer[2] = [BUFFER] of { byte, byte, byte };
#define room(p, n) (len(buffer[p]) + n <= BUFFER)
#define drained(p) (len(buffer[p]) == 0)
inline store(p, k, a, v) { buffer[p] ! k, a, v }

active proctype memory() {
end:
    do
    :: d_step { nempty(buffer[S]) -> buffer[S] ? kind, at, value; land(S, kind, at, value); kind = 0; at = 0; value = 0 }
    :: d_step { nempty(buffer[R]) -> buffer[R] ? kind, at, value; land(R, kind, at, value); kind = 0; at = 0; value = 0 }
    od
}

#ifdef MUTANT_PUBLISH_FENCE
#define publish_fence true
#else
#define publish_fence drained(S)
#endif
#ifdef MUTANT_ANNOUNCE_FENCE
#define announce_fence(p) true
#else
#define announce_fence(p) drained(p)
#endif
#ifdef MUTANT_CONSUME_FENCE
#define consume_fence true
#else
#define consume_fence drained(R)
#endif

bit bell[2];                /* readable */
bit dead[2];
bool wrong_bytes, lost_message;
#ifdef REACH
bool reached;
#define reach() reached = true; assert(!reached)
#endif

inline wrong(condition) {
#ifndef CHECK_MESSAGES
    wrong_bytes = condition;
    assert(!wrong_bytes)
#else
    skip
#endif
}
inline lost(condition) {
#ifndef CHECK_BYTES
    lost_message = condition;
    assert(!lost_message)
#else
    skip
#endif
}

#define name_gen(m) (2 * ((m) / SLOTS))

/* ---- the sender, who owns the buffers ---- */
byte sent;                  /* messages written */
byte settled;               /* messages whose in-flight hold was dropped */
byte freed;                 /* slots freed, in order: message `freed` is the next to be freed */
bit revoking;               /* between mark and scan of message `freed` */
byte unrung;                /* messages made known for which nobody was rung */

#define IDLE 0
#define WRITTEN 1           /* payload and cell are written: publish */
#define KNOWN 2             /* published: fence, look at the word */
#define NO_ROOM 3           /* waits is set: announce */
#define ANNOUNCED 4         /* fence, look again */
#define SLEEPING 5
#define AT_END 6
#define HELD 7
#define TAKEN 8
#define USED 9              /* consumed is stored: fence, look at the words */
#define ODD 10
#define DEAD_DRAIN 11

byte sender = IDLE;
byte receiver = IDLE;

/* Free the oldest slot not in flight: mark; fence; scan; next generation or restore. */
#define may_free (freed < settled && !revoking)

/* corked: rung for all that was made known, before anybody waits for the other side */
#ifdef MUTANT_CORKED_SLEEP
#define rung true
#else
#define rung (unrung == 0)
#endif

#ifdef MUTANT_IN_FLIGHT
#define in_flight_over(m) true
#else
#define in_flight_over(m) (consumed > (m) || dead[R])
#endif

active proctype send() {
end:
    do
    /* a slot is free when every earlier message in it was freed */
    :: d_step { sender == IDLE && sent < MESSAGES && sent < freed + SLOTS && sent - consumed < RING && !dead[R] && room(S, 3) ->
        store(S, PAYLOAD, sent % SLOTS, sent + 1);
        store(S, CELL, sent % RING, sent + 1);
        if :: waits -> store(S, WAITS, 0, 0) :: else fi;
        sent++;
        sender = WRITTEN }
    :: d_step { sender == WRITTEN && room(S, 1) -> store(S, PUBLISHED, 0, sent); unrung++; sender = (CORK -> IDLE : KNOWN) }
    :: d_step { (sender == KNOWN || (sender == IDLE && unrung > 0)) && publish_fence ->
        if
        :: asleep[R] -> bell[R] = 1;
#ifdef REACH_ONE_RING
            if :: unrung > 1 -> reach() :: else fi
#endif
        :: else
        fi;
        unrung = 0;
        sender = IDLE }

    /* in flight until consumed, or the receiver is dead */
    :: d_step { sender == IDLE && settled < sent && in_flight_over(settled) -> settled++ }

    :: d_step { sender == IDLE && may_free && room(S, 1) -> store(S, GEN, freed % SLOTS, name_gen(freed) + 1); revoking = 1 }
    :: d_step { sender == IDLE && revoking && drained(S) && room(S, 1) ->
        if
        :: hold[freed % SLOTS] == 0 || dead[R] -> store(S, GEN, freed % SLOTS, name_gen(freed) + 2); freed++
        :: else ->
#ifdef REACH_RESTORED
            reach();
#endif
            store(S, GEN, freed % SLOTS, name_gen(freed))
        fi;
        revoking = 0 }

    /* no room: say so, announce, fence, look again, sleep */
    :: d_step { sender == IDLE && sent < MESSAGES && sent - consumed >= RING && !dead[R] && rung && room(S, 1) ->
        store(S, WAITS, 0, 1); sender = NO_ROOM }
    :: d_step { sender == NO_ROOM && room(S, 1) -> store(S, ASLEEP, 0, 1); sender = ANNOUNCED }
    :: d_step { sender == ANNOUNCED && announce_fence(S) && room(S, 1) ->
        if
        :: sent - consumed < RING || dead[R] -> store(S, ASLEEP, 0, 0); sender = IDLE
        :: else ->
#ifdef REACH_SENDER_SLEEPS
            reach();
#endif
            sender = SLEEPING
        fi }
    /* the bell, or the pidfd of the receiver */
    :: d_step { sender == SLEEPING && (bell[S] || dead[R]) && room(S, 1) ->
        store(S, ASLEEP, 0, 0); bell[S] = 0; sender = IDLE }

    :: d_step { sender == IDLE && (sent == MESSAGES || dead[R]) && settled == sent && freed == sent && !revoking && rung -> sender = AT_END }
#if SENDER_DIES
    :: d_step { !dead[S] && sender != AT_END && drained(S) -> dead[S] = 1; sender = AT_END }
#endif
    :: sender == AT_END -> break
    od
}

/* ---- the receiver ---- */
byte got;                   /* messages received: taken, and the index advanced */
byte taking;                /* of those behind, so many names are copied out of the ring, and held */
byte judged;                /* ... and so many of them are good */
byte let_go;                /* messages that it reads no more; it keeps the holds of those from here to `got` */
#define keeps (let_go < got)

inline look(m) { wrong(payload[(m) % SLOTS] != (m) + 1) }

inline judge(m) {
    if
    :: gen[(m) % SLOTS] == name_gen(m) || (gen[(m) % SLOTS] == name_gen(m) + 1 && dead[S]) ->
        look(m);
        judged++;
        receiver = (judged == taking -> TAKEN : HELD)
    :: gen[(m) % SLOTS] == name_gen(m) + 1 && !dead[S] -> receiver = ODD
    :: else -> lost(true)
    fi
}

inline read_name(m) { lost(cell[(m) % RING] != (m) + 1) }   /* in order, once */

active proctype receive() {
end:
    do
    :: d_step { receiver == IDLE && !keeps && published > got && room(R, 1) ->
        read_name(got);
        taking = 1;
#ifdef MUTANT_INDEX_FIRST
        store(R, CONSUMED, 0, got + 1);
#else
        store(R, HOLD, got % SLOTS, 1);
#endif
        receiver = HELD }
#ifdef MUTANT_INDEX_FIRST
    :: d_step { receiver == HELD && room(R, 1) -> store(R, HOLD, got % SLOTS, 1); receiver = ODD }
#else
    /* one more, if it was published when the index was read: it may have been since */
    :: d_step { receiver == HELD && judged == 0 && taking < BATCH && published > got + taking && room(R, 2) ->
        read_name(got + taking);
#ifdef MUTANT_BATCH_INDEX
        store(R, CONSUMED, 0, got + taking + 1);
#endif
        store(R, HOLD, (got + taking) % SLOTS, 1);
        taking++ }
    :: d_step { receiver == HELD && drained(R) -> judge(got + judged) }
    /* the next one needs more than that (a segment, a list): its hold is dropped, it stays in the ring */
    :: d_step { receiver == HELD && judged > 0 && room(R, 1) ->
        store(R, HOLD, (got + judged) % SLOTS, 0);
#ifndef MUTANT_BATCH_END
        taking = judged;
#endif
        receiver = TAKEN }
#endif
    :: d_step { receiver == ODD && drained(R) -> judge(got + judged) }
    :: d_step { receiver == TAKEN && room(R, 1) ->
#ifdef REACH_BATCH
        if :: judged > 1 -> reach() :: else fi;
#endif
#ifndef MUTANT_INDEX_FIRST
        store(R, CONSUMED, 0, got + taking);
#endif
        got = got + judged;
        taking = 0;
        judged = 0;
        receiver = USED }
    :: d_step { receiver == USED && consume_fence ->
        if :: waits && asleep[S] -> bell[S] = 1 :: else fi;
        receiver = IDLE }
    /* what was received is read until it is let go */
    :: d_step { receiver == IDLE && keeps && room(R, 1) ->
        look(let_go);
        store(R, HOLD, let_go % SLOTS, 0);
        let_go++ }

    :: d_step { receiver == IDLE && !keeps && published == got && !dead[S] && got < MESSAGES && room(R, 1) ->
        store(R, ASLEEP, 0, 1); receiver = ANNOUNCED }
    :: d_step { receiver == ANNOUNCED && announce_fence(R) && room(R, 1) ->
        if
        :: published != got || dead[S] -> store(R, ASLEEP, 0, 0); receiver = IDLE
        :: else ->
#ifdef REACH_RECEIVER_SLEEPS
            reach();
#endif
            receiver = SLEEPING
        fi }
    :: d_step { receiver == SLEEPING && (bell[R] || dead[S]) && room(R, 1) ->
        store(R, ASLEEP, 0, 0); bell[R] = 0; receiver = IDLE }

    /* the end: all of it, or what a dead sender had published, drained once more after its death was seen */
#ifdef MUTANT_DRAIN
    :: d_step { receiver == IDLE && !keeps && published == got && got < MESSAGES && !dead[S] -> receiver = DEAD_DRAIN }
    :: d_step { receiver == DEAD_DRAIN ->
        if
        :: dead[S] -> lost(published != got); receiver = AT_END
        :: else -> receiver = IDLE
        fi }
#else
    :: d_step { receiver == IDLE && !keeps && dead[S] && published == got ->
#ifdef REACH_DRAINED
        if :: got > 0 -> reach() :: else fi;
#endif
        receiver = AT_END }
#endif
    :: d_step { receiver == IDLE && !keeps && got == MESSAGES -> receiver = AT_END }
#if RECEIVER_DIES
    :: d_step { !dead[R] && receiver != AT_END && drained(R) ->
        dead[R] = 1; taking = 0; judged = 0; let_go = got;
        hold[0] = 0; hold[1 % SLOTS] = 0; hold[SLOTS - 1] = 0; asleep[R] = 0; receiver = AT_END }
#endif
    :: receiver == AT_END -> break
    od
}

/* When nothing can move any more, both have come to their end: else somebody sleeps for ever. */
active proctype watch() {
    timeout ->
    lost((sender != AT_END && !(dead[S])) || (receiver != AT_END && !dead[R]));
    lost(!dead[S] && !dead[R] && got != MESSAGES);
    lost(!dead[S] && freed != sent)
}
