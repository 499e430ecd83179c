/* godwit as the destination: src/migration/incoming_session.cpp, incoming_sections.cpp and incoming_handover.cpp. The peer
 * shows what it is: a godwit greets with its own PING.
 */

/* The operator ends this program. */
bool quits;

proctype godwit_destination() {
    bool from_godwit = false;
    {
        transition(DESTINATION, none, setup);
        if
        :: line[DESTINATION]?HELLO -> from_godwit = true
        :: line[DESTINATION]?HELLO_QEMU -> skip
        :: line[DESTINATION]?[FIN] -> goto failing
        :: goto failing /* reset, deadline, given up, another machine type */
        fi;
        if
        :: transition(DESTINATION, setup, active)
        :: state[DESTINATION] == st_cancelling -> goto failing
        fi;
        if
        :: from_godwit -> write(DESTINATION, MANIFEST, failing); write(DESTINATION, PONG, failing)
        :: else -> skip /* a QEMU wants its PONG, and does nothing with it */
        fi;
        read(DESTINATION, PAGES, failing);
        read(DESTINATION, REST, failing);
        read(DESTINATION, END, failing);

        atomic {
            step(destination_received);
            step(destination_loaded);
            if
            :: transition(DESTINATION, active, handing_over)
            :: state[DESTINATION] == st_cancelling -> goto failing
            fi;
            if
            :: from_godwit -> skip
            :: else -> goto from_qemu
            fi
        };

        /* take_over_from_godwit */
        atomic {
            said = true;
            write(DESTINATION, LOADED, ownership_unknown);
            step(destination_said_loaded)
        };
#ifdef DEFECT_RUN_BEFORE_COMMIT
        goto start;
#endif
#ifdef DEFECT_NO_DEADLINE
        line[DESTINATION]?COMMIT;
#else
        read(DESTINATION, COMMIT, ownership_unknown);
#endif
        goto start;

from_qemu: /* take_over_from_qemu */
#ifdef DEFECT_RUN_BEFORE_SHUT
        goto start;
#endif
        atomic {
            if
            :: line[DESTINATION]?[FIN] -> goto failing
            :: !line[DESTINATION]?[FIN]
            fi;
            said = true;
            write(DESTINATION, SHUT_OK, ownership_unknown);
            step(destination_said_loaded)
        };
#ifdef DEFECT_RUN_AFTER_RESET
        read(DESTINATION, FIN, start);
#else
        read(DESTINATION, FIN, ownership_unknown);
#endif

start: /* run_guest */
        atomic {
            arrived = true;
            step(destination_committed)
        };
        if
        :: start_after_load(DESTINATION)
        :: goto failing /* the disk images cannot be taken */
        fi;
        atomic {
            step(destination_running);
            transition(DESTINATION, handing_over, completed)
        };
        if
        :: from_godwit -> write(DESTINATION, RUNNING, closing); step(destination_said_running)
        :: else -> skip
        fi;
        goto closing;

ownership_unknown:
#ifdef DEFECT_EXIT_WHEN_UNKNOWN
        goto failing;
#endif
        set_ownership_unknown(DESTINATION);
        if
        :: from_godwit && !shut_down[DESTINATION] -> put(SOURCE, SHUT_FAILED) /* say_failed */
        :: skip
        fi;
        goto failed;

failing: /* conclude: its words, if they arrive */
        if
        :: !shut_down[DESTINATION] -> put(SOURCE, SHUT_FAILED)
        :: skip
        fi;

failed:
        if
        :: transition(DESTINATION, setup, failed)
        :: transition(DESTINATION, active, failed)
        :: transition(DESTINATION, handing_over, failed)
        :: state[DESTINATION] == st_cancelling -> skip
        fi;

closing:
        atomic {
            close(DESTINATION);
            if
            :: transition(DESTINATION, cancelling, cancelled)
            :: state[DESTINATION] != st_cancelling -> skip
            fi;
            over[DESTINATION] = true;
            if
            :: quits -> machine[DESTINATION] = gone; dead[DESTINATION] = true
            :: !quits && machine[DESTINATION] == inmigrate -> machine[DESTINATION] = gone /* exits, with its error */
            :: else -> skip
            fi
        }
    } unless { dead[DESTINATION] };
    atomic {
        from_godwit = false;
        quits = false;
        shut_down[DESTINATION] = true
    }
}
