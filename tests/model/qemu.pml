/* QEMU as the peer, as it was observed. It has no deadlines, so it may wait for ever: that is no error of the run. */

#ifdef QEMU_SOURCE

#define qemu_write(side, what, failing) \
    if \
    :: atomic { !qemu_cancelled -> put(other(side), what) } \
    :: goto failing \
    fi

/* Sends, stops the guest, sends the rest, waits for SHUT. Everything but SHUT(0) makes it run the guest again. */
proctype qemu_source() {
    bool stopped = false;
    {
        qemu_write(SOURCE, HELLO_QEMU, failing);
        qemu_write(SOURCE, PAGES, failing);
        stop_for_switchover(SOURCE);
        qemu_write(SOURCE, REST, failing);
        qemu_write(SOURCE, END, failing);
        waits[SOURCE] = true;
end_waits:
        if
        :: atomic { !qemu_cancelled && line[SOURCE]?[SHUT_OK] ->
            waits[SOURCE] = false;
            finish_migrated(SOURCE);
            goto closing }
        :: atomic { line[SOURCE]?[SHUT_FAILED] || line[SOURCE]?[FIN] || heard_reset(SOURCE) || qemu_cancelled ->
            waits[SOURCE] = false;
            goto failing }
        fi;
failing:
        if
        :: stopped -> resume_after_failure(SOURCE)
        :: else -> skip
        fi;
closing:
        atomic {
            close(SOURCE);
            over[SOURCE] = true
        }
    } unless { dead[SOURCE] }
}

/* qemu_cancel: the state changes and the socket is shut down, which its peer sees as an orderly end. */
#define qemu_cancel() \
    atomic { \
        may_cancel_qemu && !qemu_cancelled && !over[SOURCE] && machine[SOURCE] != postmigrate -> \
        qemu_cancelled = true; \
        note("event operator: cancel at QEMU"); \
        put(DESTINATION, FIN); \
        if \
        :: fault[DESTINATION] == whole -> fault[DESTINATION] = silent \
        :: else -> skip \
        fi \
    }

#endif

#ifdef QEMU_DESTINATION

/* Runs the guest by itself as soon as it has the end byte and the description; exits on any failure. */
proctype qemu_destination() {
    {
        waits[DESTINATION] = true;
end_waits:
        do
        :: line[DESTINATION]?HELLO -> put(SOURCE, PONG)
        :: line[DESTINATION]?PAGES -> skip
        :: line[DESTINATION]?REST -> put(SOURCE, TAKEN)
        :: line[DESTINATION]?REST -> goto failing /* a device that it does not have */
        :: atomic { line[DESTINATION]?END -> arrived = true; waits[DESTINATION] = false; break }
        :: heard_reset(DESTINATION) -> goto failing
        :: nempty(line[DESTINATION]) -> goto failing /* the end of the stream, or what it cannot load */
        od;
        if
        :: start_after_load(DESTINATION); put(SOURCE, SHUT_OK)
        :: put(SOURCE, SHUT_OK); start_after_load(DESTINATION)
        :: start_after_load(DESTINATION); put(SOURCE, SHUT_FAILED) /* the description was cut off */
        :: goto failing
        fi;
        goto closing;
failing:
        if
        :: put(SOURCE, SHUT_FAILED)
        :: skip
        fi;
        machine[DESTINATION] = gone;
closing:
        atomic {
            close(DESTINATION);
            waits[DESTINATION] = false;
            over[DESTINATION] = true
        }
    } unless { dead[DESTINATION] }
}

#endif
