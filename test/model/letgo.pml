/*
 * Letting go of a dead owner's segments: when may the host drop its descriptors of them?
 *
 *        READER === want, let go ==> HOST === grant, deny ==> READER        (and OTHER, who is only sent names)
 *
 * The owner is dead; the reader has segment 0 of it, and may want segment 1. A turn of the reader unmaps what it does
 * not hold, says once that it lets go of that owner when nothing of it is left, and only then reads what the host has
 * sent. What is granted in a turn may be held from then on; what is held may be named to OTHER, who then wants it.
 *
 * Checked: what OTHER was sent by the living reader is not refused (lost_message).
 *
 * Switches: one MUTANT_x, or REACH and one REACH_x.
 */
#define WANT 1
#define LETGO 2

chan to_host = [4] of { byte, byte };
chan to_reader = [4] of { byte };            /* grants */

bit held[2], mapped[2], asked[2];            /* reader */
bit met = 1;                                 /* reader: it has something of the owner, or has not yet said that not */
bit named[2];                                /* reader to OTHER */
bit reads[2];                                /* host: the reader has it */
bit has = 1;                                 /* host: descriptors of both segments */
byte turns;

bit lost_message;
#ifdef REACH
bit reached;
#define fail_message(c) skip
#else
#define fail_message(c) if :: c -> lost_message = 1; assert(!lost_message) :: else fi
#endif
#define reach(c) if :: c -> reached = 1; assert(!reached) :: else fi

#ifdef MUTANT_LETGO
#define may_let_go 1
#else
#define may_let_go (!asked[0] && !asked[1])  /* a grant of that owner may be on its way */
#endif

inline sweep() {
    d_step {
        if :: mapped[0] && !held[0] -> mapped[0] = 0 :: else fi;
        if :: mapped[1] && !held[1] -> mapped[1] = 0 :: else fi;
        if
        :: met && !mapped[0] && !mapped[1] && may_let_go -> met = 0; to_host ! LETGO, 0
        :: else
        fi
    }
}

active proctype reader() {
    byte s;
    mapped[0] = 1; held[0] = 1; reads[0] = 1;
end:
    do
    :: turns < 4 -> turns++;
       sweep();
       do
       :: to_reader ? s -> asked[s] = 0; mapped[s] = 1; met = 1;
          if :: held[s] = 1 :: skip fi       /* the message that waited for it, or it is over */
#ifdef REACH_AGAIN
          ; reach(held[s] && s == 1)
#endif
       :: empty(to_reader) -> break
       od
    :: held[0] -> held[0] = 0
    :: held[1] -> held[1] = 0
    :: !mapped[1] && !asked[1] && turns < 4 -> asked[1] = 1; to_host ! WANT, 1
    :: held[0] && !named[0] -> named[0] = 1
    :: held[1] && !named[1] -> named[1] = 1
    od
}

active proctype host() {
    byte what, s;
end:
    do
    :: to_host ? what, s ->
       d_step {
           if
           :: what == WANT && has -> reads[s] = 1; to_reader ! s
           :: what == WANT && !has -> asked[s] = 0      /* refused: it was nobody's any more */
           :: what == LETGO -> reads[0] = 0; reads[1] = 0; has = 0
#ifdef REACH_DROPPED
              ; reach(1)
#endif
           fi;
           what = 0; s = 0
       }
       /* OTHER's want, at any moment while the sender still holds it for the flight */
    :: named[0] && held[0] && !has -> fail_message(1)
    :: named[1] && held[1] && !has -> fail_message(1)
    od
}
