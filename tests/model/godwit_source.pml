/* godwit as the source: src/migration/outgoing_session.cpp, outgoing_switchover.cpp and
 * outgoing_handover.cpp. The peer shows what it is: a godwit
 * sends its MANIFEST before the PONG.
 */

/* What the return path has heard. */
bool heard_manifest, heard_pong, heard_taken, heard_loaded, heard_running, heard_shut_ok, heard_shut_failed, heard_end;
#define heard_broken (heard_shut_failed || heard_end)
/* Once nobody asks any more. Only to have fewer states. */
#define forget_heard() \
    heard_manifest = false; \
    heard_pong = false; \
    heard_taken = false; \
    heard_loaded = false; \
    heard_running = false; \
    heard_shut_ok = false; \
    heard_shut_failed = false; \
    heard_end = false

/* src/migration/return_path.cpp: a thread of its own. A refusal ends the writing, too. */
proctype return_path() {
    {
        do
        :: line[SOURCE]?MANIFEST -> heard_manifest = true
        :: line[SOURCE]?PONG -> heard_pong = true
        :: line[SOURCE]?TAKEN -> heard_taken = true
        :: line[SOURCE]?LOADED -> heard_loaded = true
        :: line[SOURCE]?RUNNING -> heard_running = true
        :: line[SOURCE]?SHUT_OK -> heard_shut_ok = true
        :: line[SOURCE]?SHUT_FAILED -> atomic { heard_shut_failed = true; shut_down[SOURCE] = true }
        :: line[SOURCE]?FIN -> break
        :: heard_reset(SOURCE) -> break
        od
    } unless { shut_down[SOURCE] || dead[SOURCE] };
    atomic {
        if
        :: !dead[SOURCE] -> heard_end = true
        :: else -> skip
        fi
    }
}

/* OutgoingSession::check */
#define check(failing) \
    if \
    :: state[SOURCE] == st_cancelling || heard_broken -> goto failing \
    :: else -> skip \
    fi

/* OutgoingSession::wait_heard. The last choice is the deadline, which can pass at any time. */
#define wait_heard(what, failing) \
    if \
    :: what -> skip \
    :: !what && heard_broken -> goto failing \
    :: !what && state[SOURCE] == st_cancelling -> goto failing \
    :: !what -> goto failing \
    fi

/* OutgoingSession::begin_commit. The locks of the disk images may be impossible to give up. */
#define begin_commit(failing) \
    if \
    :: transition(SOURCE, active, handing_over) \
    :: transition(SOURCE, device, handing_over) \
    :: state[SOURCE] == st_cancelling -> goto failing \
    fi; \
    if \
    :: step(source_before_commit) \
    :: goto failing \
    fi; \
    d_step { stays_paused = true; commit_begun = true }

proctype godwit_source() {
    bool stopped = false;
    bool stays_paused = false;
    {
        transition(SOURCE, none, setup);
        write(SOURCE, HELLO, failing);
        wait_heard(heard_pong, failing);
        if
        :: skip
        :: heard_manifest -> goto failing /* the manifests differ */
        fi;
        if
        :: transition(SOURCE, setup, active)
        :: state[SOURCE] == st_cancelling -> goto failing
        fi;
        write(SOURCE, PAGES, failing);

        atomic {
            step(source_stopping);
            check(failing)
        };
        if
        :: stop_for_switchover(SOURCE)
        :: goto failing /* its disk writes do not end, or the guest is gone */
        fi;
        step(source_stopped);
        if
        :: skip
        :: transition(SOURCE, active, pre_switchover); /* pause-before-switchover: the operator's word is waited for */
           if
           :: transition(SOURCE, pre_switchover, device)
           :: state[SOURCE] == st_cancelling || heard_broken -> goto failing
           fi
        fi;
        write(SOURCE, REST, failing);
        atomic {
            check(failing);
            if
            :: heard_manifest -> skip
            :: else -> goto to_qemu
            fi
        };

        /* hand_over_to_godwit */
        write(SOURCE, END, failing);
        atomic {
            check(failing);
            step(source_sent)
        };
        atomic {
            wait_heard(heard_loaded, failing);
            step(source_loaded_seen)
        };
#ifdef DEFECT_COMMIT_BEFORE_STATE
        put(DESTINATION, COMMIT);
#endif
        begin_commit(failing);
        atomic {
            write_commit(SOURCE, COMMIT, ownership_unknown);
            step(source_committed)
        };
        wait_heard(heard_running, ownership_unknown);
        goto complete;

to_qemu: /* hand_over_by_eof */
        if
        :: fault[DESTINATION] == whole -> skip /* everything is acknowledged */
        :: goto failing
        fi;
        atomic {
            check(failing);
            step(source_sent)
        };
        wait_heard(heard_taken, failing);
        begin_commit(failing);
        atomic {
            write_commit(SOURCE, END, ownership_unknown);
            step(source_committed)
        };
        if
        :: heard_shut_ok -> goto complete
        :: !heard_shut_ok && heard_broken -> skip
        :: !heard_shut_ok -> skip /* the deadline */
        fi;
        if
#ifdef DEFECT_FAILURE_BELIEVED
        :: heard_shut_failed -> stays_paused = false; goto failing
#endif
        :: true -> goto ownership_unknown
        fi;

complete:
        finish_migrated(SOURCE);
        transition(SOURCE, handing_over, completed);
        atomic {
            step(source_completed);
            goto closing
        };

ownership_unknown:
#ifdef DEFECT_RESUME_AFTER_COMMIT
        stays_paused = false;
        goto failing;
#endif
        set_ownership_unknown(SOURCE);

failing: /* conclude: the guest goes on first, and everything that can be undone is undone before the state says so */
        atomic {
            if
            :: stopped && !stays_paused -> resume_after_failure(SOURCE)
            :: else -> skip
            fi;
            shut_down[SOURCE] = true
        };
        if
        :: transition(SOURCE, setup, failed)
        :: transition(SOURCE, active, failed)
        :: transition(SOURCE, pre_switchover, failed)
        :: transition(SOURCE, device, failed)
        :: transition(SOURCE, handing_over, failed)
        :: state[SOURCE] == st_cancelling -> skip
        fi;

closing:
        shut_down[SOURCE] = true;
        atomic {
            heard_end; /* the return path's thread has ended */
            close(SOURCE);
            if
            :: transition(SOURCE, cancelling, cancelled)
            :: state[SOURCE] != st_cancelling -> skip
            fi;
            over[SOURCE] = true
        }
    } unless { dead[SOURCE] };
    atomic {
        stopped = false;
        stays_paused = false;
        forget_heard()
    }
}
