/* A connection: two directions, each in order.
 *
 * What is lost on the way is the end of what was sent: all from some message on. Nobody learns at the moment of sending
 * whether a message will arrive, so the choice is made there: it arrives, or it and everything after it does not. That
 * covers a cut at any moment, of one direction or both, with what is in flight lost or delivered. The receiver of a broken
 * direction hears of a reset, or it hears nothing.
 *
 * An orderly end (FIN) is a message like others: it arrives after everything before it, or not at all.
 */

mtype:message = {
    HELLO,       /* OPEN_RETURN_PATH and godwit's PING */
    HELLO_QEMU,  /* OPEN_RETURN_PATH and another PING */
    MANIFEST, PONG,
    PAGES,       /* memory while the guest runs */
    REST,        /* the rest of memory and the devices' state; to a QEMU with a PING */
    TAKEN,       /* its PONG: it has loaded all of that */
    END,         /* the end byte and the description */
    LOADED, COMMIT,
    RUNNING,     /* with SHUT(0), which says nothing more */
    SHUT_OK,     /* SHUT(0) */
    SHUT_FAILED, /* SHUT(1); between godwits with ERROR before it */
    FIN
};

/* line[x] is on its way to x. */
chan line[2] = [5] of { mtype:message };

mtype:fault = { whole, reset, silent };
/* Of the direction to x: everything arrives; x hears of a reset; x hears nothing. */
mtype:fault fault[2] = whole;

/* This side's channel has been shut down by itself: nothing more is read or written. */
bool shut_down[2];
/* The process is gone: a crash, a kill, its host's death, or its operator's `quit`. */
bool dead[2];
/* Its migration is over, it waits for nothing. */
bool over[2];

#define other(side) (1 - side)

/* To `to`: arrives, or is lost together with all that follows. A godwit has a deadline for everything, so that a reset and
 * a silence lead it to the same places; only to a QEMU they are different. */
#define put(to, what) \
    atomic { \
        if \
        :: fault[to] == whole -> assert(nfull(line[to])); line[to]!what \
        :: fault[to] == whole -> fault[to] = reset; note("event lost from here on, with a reset: " #what) \
        :: fault[to] == whole && is_qemu(to) -> fault[to] = silent; note("event lost from here on: " #what) \
        :: fault[to] != whole -> skip \
        fi \
    }

/* The socket is closed: an orderly end, if it arrives. After a reset there is no connection left to end: nothing between the
 * two makes an orderly end out of it. */
#define close(side) \
    atomic { \
        if \
        :: fault[side] == reset && fault[other(side)] == whole -> fault[other(side)] = silent \
        :: else -> skip \
        fi; \
        put(other(side), FIN); \
        fault[side] = silent; \
        do \
        :: line[side]?_ \
        :: empty(line[side]) -> break \
        od \
    }

#define heard_reset(side) (fault[side] == reset && empty(line[side]))

/* godwit writes: every write can fail, by its deadline or by the connection's end. */
#define write(side, what, failing) \
    if \
    :: atomic { !shut_down[side] -> put(other(side), what) } \
    :: goto failing \
    fi

/* godwit writes what the peer acts upon: it may have arrived although the write reports an error. */
#define write_commit(side, what, failing) \
    if \
    :: atomic { !shut_down[side] -> put(other(side), what) } \
    :: atomic { !shut_down[side] -> put(other(side), what); goto failing } \
    :: goto failing \
    fi

/* godwit reads. The last choice stands for the deadline, which can pass at any time, and for all that leads to the same: a
 * reset, the end of the stream, what cannot be loaded. */
#define read(side, what, failing) \
    if \
    :: atomic { !shut_down[side] && line[side]?[what] -> line[side]?what } \
    :: goto failing \
    fi
