/*
 * Joining through the host: who may read a segment of an owner, and when the owner may recycle a slot in it.
 *
 *        reader 0 <--- name --- OWNER            the owner sends one name to reader 0, which forwards it to 1
 *        reader 1 <--- name --- reader 0
 *
 *        OWNER <== to_owner: tables ====\
 *              === to_host: segments ==> HOST    word: how many tables it has put into to_owner
 *        readers == want ==> HOST == grant, deny ==> readers
 *
 * Sockets outlive whoever wrote into them. Anybody may be killed at any step (OWNER_DIES, READER_DIES, HOST_DIES).
 * The fences between counters and generations are the business of holds.pml: here every store lands at once, and
 * what is checked is the order in which owner, host and readers hear of each other.
 *
 * Checked: nobody reads bytes that are not the name's (wrong_bytes); a name is refused only when the host is dead, and
 * called stale only when its sender is (lost_message); no owner waits for a table that is not on its way (stuck).
 *
 * Switches: OWNER_DIES READER_DIES HOST_DIES RUBBISH OTHERS; CHECK_BYTES, CHECK_MESSAGES or CHECK_STUCK for one property
 * alone; then one MUTANT_x, or REACH and one REACH_x.
 */
#ifndef OWNER_DIES
#define OWNER_DIES 0
#endif
#ifndef READER_DIES
#define READER_DIES 0
#endif
#ifndef HOST_DIES
#define HOST_DIES 0
#endif
#ifndef RUBBISH
#define RUBBISH 0           /* 1: reader 1's table is none, and it reads nothing */
#endif
#ifndef OTHERS
#define OTHERS 0            /* 1: the host makes grants of another owner meanwhile */
#endif
#define READERS 2

/* memory */
byte gen = 2;               /* owner: generation of the slot; odd = revoking */
byte payload = 2;           /* owner: the bytes, as the generation they were written for */
byte word;                  /* host: the owner's epoch word */
bit hold[READERS];          /* reader: its counter */

/* sockets and channels */
chan to_host = [2] of { bit };               /* a segment is made known */
chan to_owner = [2] of { byte, byte };       /* table of reader, epoch */
bit name[READERS];          /* the name has been sent to this reader */
bit used[READERS];          /* ... and has been consumed */
bit want[READERS];
bit grant[READERS];
bit deny[READERS];

/* what each knows */
bit dead_owner, dead_host, dead[READERS];
byte known;                 /* owner: tables it has */
bit table[READERS];         /* owner: has this reader's table */
bit in_flight;              /* owner: its own hold, for the message to reader 0 */
bit has_segment;            /* host */
bit told[READERS];          /* host: the owner has been sent this reader's table */
bit busy;                   /* host: in the middle of a grant */
bit idle = 1;               /* owner: not in the middle of freeing */
bit freed;

bit wrong_bytes, lost_message, stuck;
#ifdef REACH
bit reached;
#endif

#if defined(REACH)
#define fail_bytes(c) skip
#define fail_message(c) skip
#define fail_stuck(c) skip
#else
#if !defined(CHECK_MESSAGES) && !defined(CHECK_STUCK)
#define fail_bytes(c) if :: c -> wrong_bytes = 1; assert(!wrong_bytes) :: else fi
#else
#define fail_bytes(c) skip
#endif
#if !defined(CHECK_BYTES) && !defined(CHECK_STUCK)
#define fail_message(c) if :: c -> lost_message = 1; assert(!lost_message) :: else fi
#else
#define fail_message(c) skip
#endif
#if !defined(CHECK_BYTES) && !defined(CHECK_MESSAGES)
#define fail_stuck(c) if :: c -> stuck = 1; assert(!stuck) :: else fi
#else
#define fail_stuck(c) skip
#endif
#endif
#define reach(c) if :: c -> reached = 1; assert(!reached) :: else fi

/* A dead reader's counter is zero (its pidfd); so is that of one whose table is not here. */
#define counts(d) (table[d] && hold[d] && !dead[d])

inline read_socket() {
    d_step {
        nempty(to_owner) -> to_owner ? who, epoch;
#ifdef MUTANT_RUBBISH
        if
        :: RUBBISH && who == 1 -> skip
        :: else -> known = epoch; table[who] = 1
        fi;
#else
        if
        :: RUBBISH && who == 1 -> known = epoch
        :: else -> known = epoch; table[who] = 1
        fi;
#endif
        who = 0; epoch = 0
    }
}

active proctype owner() {
    byte who, epoch, seen;
    /* Make known, then name: the other way round nobody could be granted what was named. */
#ifdef MUTANT_PUBLISH
    d_step { in_flight = 1; name[0] = 1 };
    if
    :: OWNER_DIES -> dead_owner = 1; goto end
    :: to_host ! 1
    fi;
#else
    to_host ! 1;
    d_step { in_flight = 1; name[0] = 1 };
#endif
end:
    do
    :: !dead_owner && OWNER_DIES -> d_step { dead_owner = 1; idle = 1 }; break
    :: dead_owner -> break
    :: read_socket()
    :: d_step { in_flight && (used[0] || dead[0]) -> in_flight = 0 }
    :: atomic { !in_flight && !freed && gen == 2 -> idle = 0 };
#ifdef MUTANT_EPOCH_FIRST
        seen = word;
#endif
        gen = 3;
        if
        :: OWNER_DIES -> d_step { dead_owner = 1; idle = 1 }; break
        :: skip
        fi;
#ifndef MUTANT_EPOCH_FIRST
        seen = word;
#endif
#ifdef MUTANT_EPOCH
        seen = known;
#endif
#ifdef MUTANT_TRUST_AFTER_HOST
        if
        :: dead_host -> seen = known     /* compares no more once the host is dead, its socket unread */
        :: else
        fi;
#endif
        if
        :: d_step { seen > known -> gen = 2; idle = 1;
#ifdef REACH_UNKNOWN
            reach(1);
#endif
            seen = 0 }
        :: else ->
            if
            :: counts(0) -> d_step { gen = 2; idle = 1; seen = 0;
#ifdef REACH_HELD
                reach(1)
#endif
                }
            :: else ->
                if
                :: counts(1) -> d_step { gen = 2; idle = 1; seen = 0 }
                :: else -> d_step { gen = 4; freed = 1 };
                    if
                    :: OWNER_DIES -> d_step { dead_owner = 1; idle = 1 }; break
                    :: d_step { payload = 4; idle = 1; seen = 0 }
                    fi
                fi
            fi
        fi
    od
}

inline die_host() { d_step { dead_host = 1; busy = 0 } }

/* One grant to reader d, step by step; the host may die between any two. */
inline send_table(d) { to_owner ! d, word_to_be; told[d] = 1 }
inline raise() { word = word_to_be }
inline send_grant(d) { grant[d] = 1; want[d] = 0 }

active proctype host() {
    byte d, word_to_be;
end:
    do
    :: HOST_DIES && !dead_host -> die_host(); break
    :: to_host ? [_] -> d_step { to_host ? _; has_segment = 1 }
#if OTHERS
#ifdef MUTANT_ONE_WORD
    /* With one word for all owners a grant of another's segment raises it, and this owner gets no table. */
    :: d_step { word < 3 && !told[0] && !told[1] -> word++ }
#endif
#endif
    :: want[0] -> d = 0; goto serve
    :: want[1] -> d = 1; goto serve
    od;
    goto gone;
serve:
    busy = 1;
#ifndef MUTANT_LAST_WORDS
    /* What its owner said before the name left is in the socket, whoever is dead. */
    if
    :: to_host ? [_] -> d_step { to_host ? _; has_segment = 1 }
    :: else
    fi;
#endif
    if
    :: !has_segment -> d_step { deny[d] = 1; want[d] = 0; busy = 0; d = 0 }; goto end
    :: else
    fi;
    if
    :: dead_owner || told[d] -> skip
#ifdef MUTANT_DROP_AT_DEATH
    :: dead_owner && !told[d] -> d_step { deny[d] = 1; want[d] = 0; busy = 0; d = 0 }; goto end
#endif
    :: else ->
        word_to_be = word + 1;
#if defined(MUTANT_WORD_FIRST)
        raise();
        if :: HOST_DIES -> die_host(); goto gone :: skip fi;
        send_table(d);
        if :: HOST_DIES -> die_host(); goto gone :: skip fi;
#elif defined(MUTANT_GRANT_FIRST)
        send_grant(d);
        if :: HOST_DIES -> die_host(); goto gone :: skip fi;
        send_table(d);
        if :: HOST_DIES -> die_host(); goto gone :: skip fi;
        raise();
#elif defined(MUTANT_GRANT_BEFORE_WORD)
        send_table(d);
        if :: HOST_DIES -> die_host(); goto gone :: skip fi;
        send_grant(d);
        if :: HOST_DIES -> die_host(); goto gone :: skip fi;
        raise();
#else
        send_table(d);
        if :: HOST_DIES -> die_host(); goto gone :: skip fi;
        raise();
        if :: HOST_DIES -> die_host(); goto gone :: skip fi;
#endif
        word_to_be = 0
    fi;
    d_step { send_grant(d); busy = 0;
#ifdef REACH_GRANT_AFTER_DEATH
        reach(dead_owner && !told[d]);
#endif
        d = 0 };
    goto end;
gone:
    skip
}

active [READERS] proctype reader() {
    byte d, g;
    bit is_mine, is_over;
    d = _pid - 2;           /* owner is 0, host is 1 */
end:
    do
    :: READER_DIES && !dead[d] && !is_over -> dead[d] = 1; break
    :: name[d] && !used[d] && !grant[d] && !want[d] && !deny[d] && !dead_host -> want[d] = 1
    :: deny[d] && !used[d] ->
        fail_message(!dead_host && (d == 0 || !dead[0]));
        d_step { used[d] = 1; is_over = 1 }; break
    :: grant[d] && !used[d] ->
        if
        :: RUBBISH && d == 1 -> d_step { used[1] = 1; is_over = 1 }; break
        :: else
        fi;
        hold[d] = 1;
        g = gen;
        if
        :: g == 3 && dead_owner -> g = gen; if :: g == 3 -> g = 2 :: else fi
        :: else
        fi;
        if
        :: g == 2 -> is_mine = 1; used[d] = 1;
#ifdef REACH_FORWARDED
            reach(d == 1 && dead[0])
#endif
        :: g == 3 -> skip                              /* look again later; the hold stays */
        :: g == 4 ->
            /* Reader 0's sender is the owner, reader 1's is reader 0. */
            fail_message((d == 0 && !dead_owner) || (d == 1 && !dead[0]));
            d_step { hold[d] = 0; used[d] = 1; is_over = 1 }; break
        fi
    :: is_mine -> fail_bytes(payload != 2)
    :: d == 0 && is_mine && !name[1] -> name[1] = 1
    /* The hold of a sent name stays until it was taken, or its receiver is dead. */
    :: is_mine && (d == 1 || !name[1] || used[1] || dead[1]) ->
        d_step { is_mine = 0; hold[d] = 0; is_over = 1 }; break
    od;
    if
    :: dead[d] -> skip
    :: else
    fi
}

/* Nobody works on it, nothing is on its way: then the owner must know all that the word counts. */
active proctype watch() {
end:
    do
    :: atomic { !dead_owner && idle && !busy && empty(to_owner) && word > known -> fail_stuck(1) }
    :: dead_owner && dead_host -> break
    od
}
