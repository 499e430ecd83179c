/* What may be left when both sides' migrations are over and the operator has forced nothing: the tables of
 * docs/handover.md, written out. A run that leaves something else is an error; check_model.py sees to it that each row is
 * reached.
 *
 * OUTCOME(how far the handover was, the source, the destination)
 *
 *   open      between godwits and from QEMU: the destination has not begun to say LOADED, or SHUT(0); to QEMU: the
 *             source has not begun to write the end byte
 *   said      it has; between godwits the source has not begun to write COMMIT
 *   begun     the source has begun to write COMMIT, or the end byte, and it has not been read
 *   arrived   the destination has it; from QEMU: has seen the orderly end of the stream
 *
 *   holds     has the guest: it runs, or is paused by its operator and goes on after a plain `cont`
 *   unknown   complete, paused, `failed` with handover-unknown: only force starts it
 *   completed has let go of it: only force starts it (ownership-gone)
 *   exited    ended by itself, with an error and a status other than 0
 *   dead      its process, or its host, was lost, or was ended by the operator
 *   waits     a QEMU that waits for its peer, which will never come: QEMU has no deadlines
 */

/* How far the handover is. The destination may have said LOADED or SHUT(0); the source has begun to write what commits; the
 * destination has read it. */
bool said, commit_begun, arrived;

/* A QEMU waits, and only its peer or its operator can end that. */
bool waits[2];
bool qemu_cancelled;

#define has_holds(side) holds(side)
#define has_unknown(side) (machine[side] == paused && owner[side] == unknown)
#define has_completed(side) (machine[side] == postmigrate)
#define has_exited(side) (machine[side] == gone && !dead[side])
#define has_dead(side) (dead[side])
#define has_waits(side) (waits[side] && !dead[side])

#define now_arrived arrived
#define now_begun (commit_begun && !arrived)
#define now_said (said && !commit_begun && !arrived)
#define now_open (!said && !commit_begun && !arrived)

#define OUTCOME(moment, at_source, at_destination) \
    :: now_##moment && has_##at_source(SOURCE) && has_##at_destination(DESTINATION) -> \
       note("outcome " #moment " " #at_source " " #at_destination)

inline judge_outcome() {
    /* The state of the migration says the same as the machine. */
#ifndef QEMU_SOURCE
    assert(dead[SOURCE] || (state[SOURCE] == st_completed) == has_completed(SOURCE));
    assert(dead[SOURCE] || state[SOURCE] != st_cancelled || holds(SOURCE));
    assert(dead[SOURCE] || !has_unknown(SOURCE) || state[SOURCE] == st_failed);
#endif
#ifndef QEMU_DESTINATION
    assert(dead[DESTINATION] || (state[DESTINATION] == st_completed) == holds(DESTINATION));
    assert(dead[DESTINATION] || holds(DESTINATION) || state[DESTINATION] == st_failed);
#endif
    if
#if !defined(QEMU_SOURCE) && !defined(QEMU_DESTINATION)
    /* "before LOADED was sent": the source resumes, the destination exits. */
    OUTCOME(open, holds, exited)
    OUTCOME(open, holds, dead)
    OUTCOME(open, dead, exited)
    OUTCOME(open, dead, dead)
    /* "after LOADED, before the source began COMMIT": the source resumes, the destination stays paused. */
    OUTCOME(said, holds, unknown)
    OUTCOME(said, holds, dead)
    OUTCOME(said, dead, unknown)
    OUTCOME(said, dead, dead)
    /* "after the source began COMMIT", and it did not arrive: both stay paused. */
    OUTCOME(begun, unknown, unknown)
    OUTCOME(begun, unknown, dead)
    OUTCOME(begun, dead, unknown)
    OUTCOME(begun, dead, dead)
    /* It arrived: the destination runs the guest, whether or not the source hears of it. */
    OUTCOME(arrived, completed, holds)
    OUTCOME(arrived, completed, dead)
    OUTCOME(arrived, unknown, holds)
    OUTCOME(arrived, unknown, dead)
    OUTCOME(arrived, dead, holds)
    OUTCOME(arrived, dead, dead)
    /* It arrived, and the destination cannot take the disk images: it exits; the source keeps its copy. */
    OUTCOME(arrived, unknown, exited)
    OUTCOME(arrived, dead, exited)
#elif defined(QEMU_DESTINATION)
    /* "an error before that write": the source resumes. */
    OUTCOME(open, holds, exited)
    OUTCOME(open, holds, dead)
    OUTCOME(open, holds, waits)
    OUTCOME(open, dead, exited)
    OUTCOME(open, dead, dead)
    OUTCOME(open, dead, waits)
    /* "anything else after it": the source stays paused. */
    OUTCOME(begun, unknown, exited)
    OUTCOME(begun, unknown, dead)
    OUTCOME(begun, unknown, waits)
    OUTCOME(begun, dead, exited)
    OUTCOME(begun, dead, dead)
    OUTCOME(begun, dead, waits)
    OUTCOME(arrived, unknown, holds)
    OUTCOME(arrived, unknown, exited)
    OUTCOME(arrived, unknown, dead)
    OUTCOME(arrived, dead, holds)
    OUTCOME(arrived, dead, exited)
    OUTCOME(arrived, dead, dead)
    /* "SHUT(0) after it": completed. */
    OUTCOME(arrived, completed, holds)
    OUTCOME(arrived, completed, dead)
#else
    /* The destination fails before SHUT(0): QEMU resumes, or never hears of it. */
    OUTCOME(open, holds, exited)
    OUTCOME(open, holds, dead)
    OUTCOME(open, waits, exited)
    OUTCOME(open, waits, dead)
    OUTCOME(open, dead, exited)
    OUTCOME(open, dead, dead)
    /* "After a reset or a time-out instead": the destination stays paused. */
    OUTCOME(said, holds, unknown)
    OUTCOME(said, holds, dead)
    OUTCOME(said, completed, unknown)
    OUTCOME(said, completed, dead)
    OUTCOME(said, waits, unknown)
    OUTCOME(said, waits, dead)
    OUTCOME(said, dead, unknown)
    OUTCOME(said, dead, dead)
    /* "the source has ended its stream in an orderly way": the destination runs the guest. */
    OUTCOME(arrived, completed, holds)
    OUTCOME(arrived, completed, dead)
    OUTCOME(arrived, dead, holds)
    OUTCOME(arrived, dead, dead)
    /* It cannot take the disk images, and exits; QEMU has let go of its copy. */
    OUTCOME(arrived, completed, exited)
    OUTCOME(arrived, dead, exited)
#endif
    :: else -> note("an outcome that no table lists"); assert(false)
    fi
}
