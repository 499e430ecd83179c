/* The handover of a guest, its cancel and its failures: docs/handover.md, for spin. docs/testing.md says what this model
 * leaves out.
 *
 *   spin -a handover.pml                       godwit to godwit
 *   spin -a -DQEMU_DESTINATION handover.pml    godwit to QEMU
 *   spin -a -DQEMU_SOURCE handover.pml         QEMU to godwit
 *
 * The processes of a side do one thing after another, each of them at any moment before or after what the others do.
 * `world` is everybody else: the operator, and fate. It acts whenever it likes, as long as it likes, or not at all.
 *
 * What is proved: never two sides that hold the guest (never_two in machine.pml); every run ends, since nothing can go on
 * for ever but the operator (progress), and nobody waits but those QEMUs that may (end); what is left is in the tables
 * (outcomes.pml). It holds under three assumptions: may_own and may_cancel_qemu below, and that an orderly end of the
 * connection comes from the peer (close in network.pml).
 */

#ifdef QEMU_SOURCE
#define is_qemu(side) (side == SOURCE)
#elif defined(QEMU_DESTINATION)
#define is_qemu(side) (side == DESTINATION)
#else
#define is_qemu(side) false
#endif

#include "states.pml"
#include "network.pml"

/* The operator has used force. */
bool forced;

#include "machine.pml"
#include "outcomes.pml"
#ifndef QEMU_SOURCE
#include "godwit_source.pml"
#endif
#ifndef QEMU_DESTINATION
#include "godwit_destination.pml"
#endif
#include "qemu.pml"

/* A crash, at any moment. The system may still end the connection in an orderly way. */
#define crash(side) \
    atomic { \
        machine[side] != gone -> \
        note("event crash of " #side); \
        machine[side] = gone; \
        if \
        :: over[side] -> skip \
        :: else -> close(side) \
        fi; \
        over[side] = true; \
        dead[side] = true \
    }

/* A QEMU that waits, and nothing will come any more: no message, no end of the connection, and its operator sleeps. */
#define stuck(side) \
    (waits[side] && !qemu_cancelled && over[other(side)] && empty(line[side]) && fault[side] == silent)

#define settled(side) (over[side] || stuck(side))

/* Migration::cancel */
#define cancel_source() \
    if \
    :: transition(SOURCE, setup, cancelling); shut_down[SOURCE] = true \
    :: transition(SOURCE, active, cancelling); shut_down[SOURCE] = true \
    :: transition(SOURCE, pre_switchover, cancelling); shut_down[SOURCE] = true \
    :: transition(SOURCE, device, cancelling); shut_down[SOURCE] = true \
    :: state[SOURCE] == st_handing_over -> note("event operator: cancel, too late") \
    fi

/* IncomingMigration::stop: the program that waits for the guest ends. */
#define quit_destination() \
    atomic { \
        !quits && !over[DESTINATION] -> \
        quits = true; \
        note("event operator: quit DESTINATION"); \
        if \
        :: transition(DESTINATION, setup, cancelling) \
        :: transition(DESTINATION, active, cancelling) \
        :: state[DESTINATION] != st_setup && state[DESTINATION] != st_active -> skip \
        fi \
    }; \
    shut_down[DESTINATION] = true

/* When the operator forces the guest to run here: the other side's migration is over, and it does not hold the guest.
 * Before it is over, a side that is paused may still start the guest by itself. */
#ifdef HASTY_OPERATOR
#define may_own(side) (!holds(other(side)))
#else
#define may_own(side) (over[other(side)] && !holds(other(side)))
#endif

/* When the operator cancels at a QEMU source: not while SHUT(0) has been said and the destination has not seen the end of
 * the stream. It cannot tell the end of a cancelled stream from that of a completed one. */
#ifdef QEMU_CANCEL_AFTER_SHUT
#define may_cancel_qemu true
#else
#define may_cancel_qemu (!said || over[DESTINATION])
#endif

proctype world() {
progress_world:
    do
    :: crash(SOURCE)
    :: crash(DESTINATION)
#ifdef QEMU_SOURCE
    :: qemu_cancel()
#else
    :: cancel_source()
    :: stop_guest(SOURCE)
    :: cont_guest(SOURCE)
    :: own_guest(SOURCE)
#endif
#ifndef QEMU_DESTINATION
    :: quit_destination()
    :: stop_guest(DESTINATION)
    :: cont_guest(DESTINATION)
    :: own_guest(DESTINATION)
#endif
    :: break
    od;
    atomic {
        settled(SOURCE) && settled(DESTINATION) ->
#ifndef ONLY_TWO_GUESTS
        if
        :: forced -> skip
        :: else -> judge_outcome()
        fi
#endif
    }
}

init {
    atomic {
        machine[SOURCE] = running;
        machine[DESTINATION] = inmigrate;
#ifdef QEMU_SOURCE
        run qemu_source();
#else
        run godwit_source();
        run return_path();
#endif
#ifdef QEMU_DESTINATION
        run qemu_destination();
#else
        run godwit_destination();
#endif
        run world()
    }
}
