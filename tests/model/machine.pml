/* The machines: run state and ownership, after src/machine/run_control.cpp. */

mtype:machine = { running, paused, finish_migrate, postmigrate, inmigrate, gone };
mtype:owner = { here, elsewhere, unknown };

mtype:machine machine[2];
mtype:owner owner[2] = here;

/* The guest runs, or would after a plain `cont`. */
#define holds(side) (machine[side] == running || (machine[side] == paused && owner[side] == here))

/* The property above all others. It is stronger than "never two that run". */
#define never_two() \
    if \
    :: holds(SOURCE) && holds(DESTINATION) -> note("two that hold the guest"); assert(false) \
    :: else -> skip \
    fi

/* Whether a guest that may run does, or is paused by its operator, is left open where it is started: it makes no difference
 * to who holds it, and `stop` and `cont` can change it at any time. */
#define go_on(side) \
    if \
    :: machine[side] = running \
    :: machine[side] = paused \
    fi; \
    never_two()

#define stop_for_switchover(side) \
    atomic { \
        machine[side] = finish_migrate; \
        stopped = true \
    }

#define resume_after_failure(side) \
    atomic { \
        note("event " #side " resumes"); \
        go_on(side) \
    }

#define start_after_load(side) \
    atomic { \
        assert(machine[side] == inmigrate); \
        note("event " #side " starts the guest"); \
        go_on(side) \
    }

#define finish_migrated(side) \
    atomic { \
        assert(machine[side] == finish_migrate); \
        machine[side] = postmigrate; \
        owner[side] = elsewhere \
    }

#define set_ownership_unknown(side) \
    atomic { \
        assert(machine[side] != running); \
        machine[side] = paused; \
        owner[side] = unknown; \
        note("event " #side " handover-unknown") \
    }

/* What the operator can say. What is refused changes nothing, so only what changes something stands here. */

#define stop_guest(side) d_step { machine[side] == running -> machine[side] = paused }

#define cont_guest(side) \
    d_step { machine[side] == paused && owner[side] == here -> machine[side] = running; never_two() }

/* `godwit own`. In other states it is refused, or does what a plain `cont` does. */
#define own_guest(side) \
    d_step { \
        may_own(side) && (machine[side] == paused || machine[side] == postmigrate) && owner[side] != here -> \
        owner[side] = here; \
        machine[side] = running; \
        forced = true; \
        note("event operator: own " #side); \
        never_two() \
    }
