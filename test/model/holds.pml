/*
 * The hold protocol (design section 4): who may read a slot, and when its owner may recycle it.
 *
 *        owner                      host                domain d = 0 .. DOMAINS-1
 *   gen, entry, payload            epoch            hold[d], word[d], used[d]
 *        |                            |                     |
 *     [store buffer]            [store buffer]        [store buffer]        FIFO, BUFFER long: TSO
 *        |                            |                     |
 *        +------------- memory, one writer per word ---------+
 *
 * Domain d sends to next(d) through a one-slot channel; the last sends to the first, so names travel in a
 * ring (with two domains: back and forth). Each option of a `do` below is one step: at most one load
 * of another's word, or local work, then stores into the own buffer. Nobody is scheduled fairly.
 * There is no budget: domains look up, send, clone and drop for ever; only recyclings and deaths are bounded.
 *
 * Checked: no payload is read that is not the name's (wrong_bytes); no message whose sender lives is called
 * stale and none waits for a dead owner (lost_message).
 *
 * Switches: DOMAINS BUFFER HANDLES RECYCLES DEATHS OWNER_DIES LATE EOFS OVERTAKE CHUNKS, CHECK_BYTES or CHECK_MESSAGES for
 * one of the two properties alone, then one MUTANT_x, or REACH and one REACH_x,,
 * or a SPARE_x (an ingredient of the design that these properties do not need: they hold without it).
 */

#ifndef DOMAINS
#define DOMAINS 2           /* domains besides the owner */
#endif
#ifndef BUFFER
#define BUFFER 3            /* stores a processor may be ahead of memory; 0 = sequential consistency */
#endif
#ifndef HANDLES
#define HANDLES 1           /* handles a domain may have on the buffer; 2 = it clones */
#endif
#ifndef RECYCLES
#define RECYCLES 1          /* times the owner reuses the slot */
#endif
#ifndef DEATHS
#define DEATHS 0            /* domains that may be killed, at any step */
#endif
#ifndef OWNER_DIES
#define OWNER_DIES 0        /* 1: so may the owner */
#endif
#ifndef LATE
#define LATE 0              /* 1: the last domain joins through the host while the others run */
#endif
#ifndef EOFS
#define EOFS 0              /* 1: a domain's control socket may close while it runs on */
#endif

#ifndef OVERTAKE
#define OVERTAKE 0          /* 1: payload stores may land before earlier stores of the owner (weak memory) */
#endif
#ifndef CHUNKS
#define CHUNKS 0            /* 1: the owner reads a domain's counter only where its chunk count is not zero */
#endif
#if BUFFER == 1 || BUFFER == 2 || (CHUNKS && BUFFER == 3)
#error "a step makes up to two stores (CHUNKS: three): with a shorter BUFFER the wait for room would act as a fence"
#endif

#define OWNER DOMAINS
#define HOST (DOMAINS + 1)
#define JOINER (DOMAINS - 1)
#define FIRST 2
#define LAST (FIRST + 2 * RECYCLES)
#define next(d) ((d + 1) % DOMAINS)
#define prev(d) ((d + DOMAINS - 1) % DOMAINS)

/* ---- memory: each word has exactly one writer, which therefore knows its value without loading it ---- */

byte gen = FIRST;           /* owner: generation; low bit set = revoking */
byte entry;                 /* owner: the index, 0 or the name (generation) that it offers */
byte payload;               /* owner: the bytes, as the generation that they were written for */
byte hold[DOMAINS];         /* domain: its counter */
bit chunk[DOMAINS];         /* domain: its count of the chunk, raised before and lowered after (CHUNKS) */
byte word[DOMAINS];         /* domain: ring slot of the channel to next(d): name, low bit = sequence */
bit used[DOMAINS];          /* domain: consumed index of the channel from prev(d) */
bit epoch;                  /* host: domains granted */

#define GEN 0
#define ENTRY 1
#define PAYLOAD 2
#define HOLD 3
#define WORD 4
#define USED 5
#define EPOCH 6
#define CHUNK 7

byte kind, value, i;        /* scratch, 0 between steps: they add no states */

inline land(p, k, v) {
    if
    :: k == GEN -> gen = v
    :: k == ENTRY -> entry = v
    :: k == PAYLOAD -> payload = v
    :: k == HOLD -> hold[p] = v
    :: k == WORD -> word[p] = v
    :: k == USED -> used[p] = v
    :: k == EPOCH -> epoch = v
    :: k == CHUNK -> chunk[p] = v
    fi
}

#if BUFFER > 0
chan buffer[DOMAINS + 2] = [BUFFER] of { byte, byte };
#define room(p, n) (len(buffer[p]) + n + CHUNKS <= BUFFER)
#define drained(p) (len(buffer[p]) == 0)
inline store(p, k, v) { buffer[p] ! k, v }

active proctype memory() {
end:
    do
    :: d_step { nempty(buffer[0]) -> buffer[0] ? kind, value; land(0, kind, value); kind = 0; value = 0 }
    :: d_step { nempty(buffer[1]) -> buffer[1] ? kind, value; land(1, kind, value); kind = 0; value = 0 }
    :: d_step { nempty(buffer[2]) -> buffer[2] ? kind, value; land(2, kind, value); kind = 0; value = 0 }
    :: d_step { nempty(buffer[3]) -> buffer[3] ? kind, value; land(3, kind, value); kind = 0; value = 0 }
#if OVERTAKE
    :: d_step { buffer[OWNER] ?? [PAYLOAD, _] -> buffer[OWNER] ?? PAYLOAD, value; payload = value; value = 0 }
#endif
#if DOMAINS > 2
    :: d_step { nempty(buffer[4]) -> buffer[4] ? kind, value; land(4, kind, value); kind = 0; value = 0 }
#endif
    od
}
#else
#define room(p, n) true
#define drained(p) true
inline store(p, k, v) { land(p, k, v) }
#endif

/* A full fence is a step that waits until the own buffer is empty. */
#ifdef MUTANT_TAKER_FENCE_INDEX
#define index_fence(d) true
#else
#define index_fence(d) drained(d)
#endif
#ifdef MUTANT_TAKER_FENCE_MESSAGE
#define message_fence(d) true
#else
#define message_fence(d) drained(d)
#endif
#ifdef SPARE_REMOVE_FENCE
#define remove_fence() true
#else
#define remove_fence() drained(OWNER)
#endif
#ifdef MUTANT_OWNER_FENCE
#define owner_fence() true
#else
#define owner_fence() drained(OWNER)
#endif

/* ---- what each party knows by itself ---- */

#define IDLE 0              /* between operations */
#define FOUND 1             /* index: hold stored, generation not read yet */
#define SAME 2              /* index: generation equal, entry not read again yet */
#define CAME 3              /* message: hold stored, generation not read yet */
#define ODD 4               /* message: generation was revoking, owner's pidfd not asked yet */
#define LATE_LOAD 5         /* MUTANT_DROP only: dropped, last load still to come */
#define OUTSIDE 6           /* not joined yet */
#define DEAD 7              /* the kernel's word: what a pidfd tells */

byte state[DOMAINS];
byte handles[DOMAINS];      /* verified claims on `mine` */
byte mine[DOMAINS];
byte want[DOMAINS];         /* name being taken from the index */
byte came[DOMAINS];         /* name of the message being taken: hold kept, message not consumed */
bit flying[DOMAINS];        /* in-flight hold of the message last sent */
bit sent[DOMAINS];          /* sequence of the message last sent */
bit got[DOMAINS];           /* sequence of the message last consumed */
bit eof[DOMAINS];
byte deaths;

bit raised[DOMAINS];        /* what it last stored in chunk[d] */

#ifdef MUTANT_IN_FLIGHT
#define claims(d) (handles[d] + (came[d] != 0))
#else
#define claims(d) (handles[d] + flying[d] + (came[d] != 0))
#endif

inline count(d, n) {
#if CHUNKS
    if
    :: n > 0 && !raised[d] -> raised[d] = 1; store(d, CHUNK, 1)
    :: else
    fi;
#endif
    store(d, HOLD, n);
#if CHUNKS
    if
    :: n == 0 && raised[d] -> raised[d] = 0; store(d, CHUNK, 0)
    :: else
    fi
#endif
}

/* Owner: FREE -> FILLED -> PUBLISHED -> REMOVED <-> MARKED -> SCANNING -> FREE */
#define FREE 0
#define FILLED 1
#define PUBLISHED 2
#define REMOVED 3
#define MARKED 4
#define SCANNING 5
#define OVERWRITTEN 6       /* MUTANT_OVERWRITE only */
#define SCANNED 7           /* MUTANT_SCAN only */
#define OWNER_DEAD 8

byte owner = FREE;
byte g = FIRST;             /* the owner's own generation, even */
byte scanned;               /* counters read in this attempt */
bit look_inside;            /* chunk count was not zero: read the counter next */
bit tables;                 /* epoch whose tables the owner has mapped */

byte host;                  /* 0 nothing done, 1 epoch raised, 2 descriptors passed */

bool wrong_bytes, lost_message;

#ifdef REACH
bool died_holding, outside_at_mark, waited[DOMAINS], was_mine[DOMAINS];
bool reached;
#define reach() reached = true; assert(!reached)
#endif

inline look(name) {
#ifndef CHECK_MESSAGES
    wrong_bytes = (payload != name);
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

/* The message is ours: only now is it consumed. */
inline consume(d) {
    handles[d]++;
    look(came[d]);
    if
    :: mine[d] != 0 -> look(mine[d])
    :: else
    fi;
    mine[d] = came[d];
    came[d] = 0;
    got[d] = 1 - got[d];
#ifndef MUTANT_CONSUME
    store(d, USED, got[d]);
#endif
    state[d] = IDLE
}

inline stale(d) {
    lost(state[prev(d)] != DEAD);
#ifdef REACH_STALE
    reach();
#endif
    came[d] = 0;
    got[d] = 1 - got[d];
    count(d, claims(d));
#ifndef MUTANT_CONSUME
    store(d, USED, got[d]);
#endif
    state[d] = IDLE
}

/* Generation read; came[d] is the name in the message. */
inline judge(d) {
    if
#ifdef MUTANT_RECHECK_MESSAGE
    :: true -> consume(d)
#else
    :: gen == came[d] ->
#ifdef REACH_FROM_DEAD
        if :: state[prev(d)] == DEAD -> reach() :: else fi;
#endif
#ifdef REACH_WAITED
        if :: waited[d] -> reach() :: else fi;
#endif
#ifdef REACH_CAME_BACK
        if :: was_mine[d] -> reach() :: else fi;
#endif
        consume(d)
#ifdef MUTANT_WAIT
    :: gen != came[d] -> stale(d)
#else
    :: gen == came[d] + 1 -> state[d] = ODD
    :: gen != came[d] && gen != came[d] + 1 -> stale(d)
#endif
#endif
    fi
}

/* A revoking generation: wait while the owner lives. A dead owner's is final: read it once more, then judge. */
inline odd(d) {
    if
    :: owner != OWNER_DEAD ->
#ifdef REACH_WAITED
        waited[d] = true;
#endif
        state[d] = IDLE
    :: else ->
#ifdef MUTANT_DEAD_OWNER_WAIT
        lost(true)
#else
        if
#ifdef MUTANT_DEAD_OWNER_REREAD
        :: true -> consume(d)
#else
        :: gen == came[d] || gen == came[d] + 1 ->
#ifdef REACH_DEAD_OWNER
            reach();
#endif
            consume(d)
        :: else -> stale(d)
#endif
        fi
#endif
    fi
}

proctype domain(byte d) {
end:
    do
    /* -- take from the index: add one; fence; generation; entry again -- */
    :: d_step { state[d] == IDLE && handles[d] == 0 && entry != 0 && room(d, 1) ->
        want[d] = entry;
        count(d, claims(d) + 1);
        state[d] = FOUND }
    :: d_step { state[d] == FOUND && room(d, 1) && index_fence(d) ->
        if
#ifdef MUTANT_RECHECK_INDEX
        :: true -> handles[d] = 1; mine[d] = want[d]; want[d] = 0; state[d] = IDLE
#else
#ifdef SPARE_ENTRY
        :: gen == want[d] -> handles[d] = 1; mine[d] = want[d]; want[d] = 0; state[d] = IDLE
#else
        :: gen == want[d] -> state[d] = SAME
#endif
        :: else -> want[d] = 0; count(d, claims(d)); state[d] = IDLE
#endif
        fi }
    :: d_step { state[d] == SAME && room(d, 1) ->
        if
        :: entry == want[d] -> handles[d] = 1; mine[d] = want[d]
        :: else ->
#ifdef REACH_MISS
            reach();
#endif
            count(d, claims(d))
        fi;
        want[d] = 0;
        state[d] = IDLE }

    /* -- take from a message: add one; fence; generation; consume only what is ours or stale -- */
    :: d_step { state[d] == IDLE && came[d] == 0 && handles[d] < HANDLES && room(d, 2) &&
            word[prev(d)] != 0 && (word[prev(d)] & 1) != got[d] ->
        came[d] = word[prev(d)] & 254;
#ifdef MUTANT_CONSUME
        store(d, USED, 1 - got[d]);
#endif
        count(d, claims(d));
        state[d] = CAME }
    :: d_step { state[d] == CAME && room(d, 2) && message_fence(d) -> judge(d) }
    :: d_step { state[d] == ODD && room(d, 2) -> odd(d) }
    :: d_step { state[d] == IDLE && came[d] != 0 && handles[d] < HANDLES && room(d, 2) -> judge(d) }

    /* -- use -- */
    :: d_step { state[d] == IDLE && handles[d] > 0 -> look(mine[d]) }
    :: d_step { state[d] == IDLE && handles[d] > 0 && handles[d] < HANDLES && room(d, 1) ->
        handles[d]++;
        count(d, claims(d)) }
    :: d_step { state[d] == IDLE && handles[d] > 0 && room(d, 1) ->
        handles[d]--;
        count(d, claims(d));
#ifdef MUTANT_DROP
        want[d] = mine[d];
        state[d] = LATE_LOAD;
#endif
        if :: handles[d] == 0 -> mine[d] = 0 :: else fi }
#ifdef MUTANT_DROP
    :: d_step { state[d] == LATE_LOAD -> look(want[d]); want[d] = 0; state[d] = IDLE }
#endif

    /* -- hand over: the handle's hold becomes the in-flight hold, until consumed or the receiver is dead -- */
    :: d_step { state[d] == IDLE && handles[d] > 0 && !flying[d] && room(d, 2) ->
        sent[d] = 1 - sent[d];
        store(d, WORD, mine[d] + sent[d]);
        handles[d]--;
        flying[d] = 1;
#ifdef MUTANT_IN_FLIGHT
        count(d, claims(d));
#endif
#ifdef REACH_CAME_BACK
        was_mine[d] = true;
#endif
        if :: handles[d] == 0 -> mine[d] = 0 :: else fi }
    :: d_step { state[d] == IDLE && flying[d] && room(d, 1) &&
            (used[next(d)] == sent[d] || state[next(d)] == DEAD) ->
        flying[d] = 0;
        count(d, claims(d)) }

    /* -- killed: stores that were made reach memory, then the kernel says so; its words are read no more -- */
    :: d_step { deaths < DEATHS && state[d] != DEAD && state[d] != OUTSIDE && drained(d) ->
        deaths++;
#ifdef REACH
        died_holding = died_holding || hold[d] != 0;
#endif
        state[d] = DEAD;
        handles[d] = 0; mine[d] = 0; want[d] = 0; came[d] = 0; flying[d] = 0; sent[d] = 0; got[d] = 0;
        hold[d] = 0; used[d] = 0; chunk[d] = 0; raised[d] = 0; eof[d] = 0 }
#if EOFS
    :: d_step { !eof[d] && state[d] != DEAD && state[d] != OUTSIDE -> eof[d] = 1 }
#endif
    od
}

inline restore() {
    scanned = 0;
#ifndef MUTANT_MARK
    store(OWNER, GEN, g);
#endif
    owner = REMOVED
}

/* All counters were zero: the next even generation first, only then new bytes. */
inline commit() {
#ifdef REACH_FREED_AFTER_DEATH
    if :: died_holding -> reach() :: else fi;
#endif
    scanned = 0;
    g = g + 2;
#ifdef MUTANT_OVERWRITE
    store(OWNER, PAYLOAD, g);
    owner = OVERWRITTEN
#else
    store(OWNER, GEN, g);
    owner = FREE
#endif
}

#ifdef MUTANT_EOF
#define gone(d) (state[d] == DEAD || eof[d])
#else
#define gone(d) (state[d] == DEAD)
#endif
#define unknown(d) (LATE && d == JOINER && !tables)

proctype recycler() {
end:
    do
    :: d_step { owner == FREE && room(OWNER, 1) -> store(OWNER, PAYLOAD, g); owner = FILLED }
    :: d_step { owner == FILLED && room(OWNER, 1) -> store(OWNER, ENTRY, g); owner = PUBLISHED }
    :: d_step { owner == PUBLISHED && g < LAST && room(OWNER, 1) -> store(OWNER, ENTRY, 0); owner = REMOVED }
    :: d_step { owner == REMOVED && room(OWNER, 1) && remove_fence() ->
#ifdef MUTANT_SCAN
        owner = SCANNING
#else
#ifndef MUTANT_MARK
        store(OWNER, GEN, g + 1);
#endif
#ifdef REACH
        outside_at_mark = (state[JOINER] == OUTSIDE);
#endif
        owner = MARKED
#endif
        }
    :: d_step { owner == MARKED && room(OWNER, 1) && owner_fence() ->
        if
#ifndef MUTANT_EPOCH
        :: epoch != tables ->
#ifdef REACH_JOINED_BETWEEN
            if :: outside_at_mark && state[JOINER] != OUTSIDE -> reach() :: else fi;
#endif
#ifdef REACH_JOINER_HOLDS
            if :: handles[JOINER] > 0 -> reach() :: else fi;
#endif
            restore()
#endif
        :: else -> owner = SCANNING
        fi }
    :: d_step { owner == SCANNING && room(OWNER, 1) ->
        if
#if CHUNKS
        :: !look_inside && !gone(scanned) && !unknown(scanned) && chunk[scanned] != 0 -> look_inside = 1
        :: look_inside && !gone(scanned) && hold[scanned] != 0 ->
            look_inside = 0;
#else
        :: !gone(scanned) && !unknown(scanned) && hold[scanned] != 0 ->
#endif
#ifdef REACH_RESTORED
            reach();
#endif
            restore()
        :: else ->
            look_inside = 0;
            scanned++;
            if
            :: scanned < DOMAINS
#ifdef MUTANT_SCAN
            :: scanned == DOMAINS -> scanned = 0; store(OWNER, GEN, g + 1); owner = SCANNED
#else
            :: scanned == DOMAINS -> commit()
#endif
            fi
        fi }
#ifdef MUTANT_SCAN
    :: d_step { owner == SCANNED && room(OWNER, 1) && drained(OWNER) ->
        if
        :: epoch != tables -> restore()
        :: else -> commit()
        fi }
#endif
#ifdef MUTANT_OVERWRITE
    :: d_step { owner == OVERWRITTEN && room(OWNER, 1) -> store(OWNER, GEN, g); owner = FREE }
#endif
#if LATE
    /* The owner maps the new table when it next looks, never in the middle of an attempt. */
    :: d_step { !tables && host == 2 && (owner == PUBLISHED || owner == REMOVED) -> tables = 1 }
#endif
#if OWNER_DIES
    :: d_step { owner != OWNER_DEAD && drained(OWNER) -> owner = OWNER_DEAD; scanned = 0; look_inside = 0; g = 0 }
#endif
    od
}

#if LATE
/* Raise the epoch, fence (passing descriptors is a system call), pass the descriptors. */
proctype granter() {
end:
    do
#ifdef MUTANT_GRANT_ORDER
    :: d_step { host == 0 -> host = 2; state[JOINER] = IDLE }
    :: d_step { host == 2 && !epoch && room(HOST, 1) && drained(HOST) -> store(HOST, EPOCH, 1) }
#else
    :: d_step { host == 0 -> store(HOST, EPOCH, 1); host = 1 }
    :: d_step { host == 1 && drained(HOST) -> host = 2; state[JOINER] = IDLE }
#endif
    od
}
#endif

init {
    atomic {
#if LATE
        state[JOINER] = OUTSIDE;
        run granter();
#endif
        run recycler();
        for (i : 0 .. DOMAINS - 1) { run domain(i) }
        i = 0
    }
}
