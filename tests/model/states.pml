/* The states of a migration, on either side: the names of include/godwit/migration_state.h.
 *
 * transition(side, from, to) is the only thing that changes them, and it is the code's compare-and-swap: it can be taken
 * only while the state is `from`, and nothing comes between the look and the change. check_model.py compares all its
 * uses with the table in src/migration/state_table.cpp; so they stand on one line each, with plain names.
 */

#define SOURCE 0
#define DESTINATION 1

mtype:migration = { st_none, st_setup, st_active, st_pre_switchover, st_device, st_handing_over, st_completed, st_failed, st_cancelling, st_cancelled };
mtype:migration state[2] = st_none;

/* Says, once, that this place was reached: in a search for check_model.py, in the replay of a run for its reader. It is no
 * part of the state. */
#define note(text) c_code { { static int noted; if (!noted) { noted = 1; printf("reached " text "\n"); } } }

#define transition(side, from, to) \
    d_step { \
        state[side] == st_##from -> \
        state[side] = st_##to; \
        note("transition " #side " " #from " " #to) \
    }

/* The named steps of include/godwit/listener.h. A crash can follow each, as it can follow every other statement. */
#define step(name) d_step { note("step " #name) }
