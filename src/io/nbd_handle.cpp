#include "io/nbd_handle.h"

#include <fmt/format.h>
#include <libnbd.h>
#include <poll.h>

#include <array>
#include <chrono>

#include "io/poll_timeout.h"
#include "io/shown_text.h"

namespace godwit {

namespace {

constexpr std::chrono::milliseconds goodbye_limit{500};

/// About the last call on this thread: the next one makes libnbd forget it.
std::string words_of_libnbd() {
    const char* words = ::nbd_get_error();
    return words != nullptr ? words : "unknown reason";
}

tl::unexpected<Error> cannot_connect(const std::string& uri, const std::string& words) {
    return fail(ErrorCode::disk,
                fmt::format("cannot connect to the NBD disk {}: {}", shown_uri(uri), shown_words(words, uri)),
                "is the server running, and is the URI of the form nbd://HOST:PORT/NAME or "
                "nbd+unix:///NAME?socket=PATH? In a password '/' is written %2F, and '@' %40");
}

}  // namespace

bool is_over(nbd_handle* handle) {
    return ::nbd_aio_is_dead(handle) != 0 || ::nbd_aio_is_closed(handle) != 0;
}

void NbdHandleCloser::operator()(nbd_handle* handle) const {
    ::nbd_close(handle);
}

NbdStep step(nbd_handle* handle, int wake_fd, Instant deadline, const Clock& clock, std::string& error) {
    const unsigned direction = ::nbd_aio_get_direction(handle);
    const auto events = static_cast<short>(((direction & LIBNBD_AIO_DIRECTION_READ) != 0 ? POLLIN : 0) |
                                           ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? POLLOUT : 0));
    std::array<pollfd, 2> descriptors{pollfd{.fd = ::nbd_aio_get_fd(handle), .events = events, .revents = 0},
                                      pollfd{.fd = wake_fd, .events = POLLIN, .revents = 0}};
    const PollTimeout timeout(deadline, clock.now());
    // A failure is EINTR, or ENOMEM, which passes as well.
    const int ready = ::ppoll(descriptors.data(), descriptors.size(), timeout.get(), nullptr);
    if (ready <= 0) {
        return clock.now() >= deadline ? NbdStep::timed_out : NbdStep::woken;
    }
    const short found = descriptors[0].revents;
    int outcome = 0;
    // An error of the socket is found by reading, or by writing.
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0 && (found & (POLLIN | POLLHUP | POLLERR)) != 0) {
        outcome = ::nbd_aio_notify_read(handle);
    } else if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 && (found & (POLLOUT | POLLHUP | POLLERR)) != 0) {
        outcome = ::nbd_aio_notify_write(handle);
    }
    if (outcome != 0) {
        error = words_of_libnbd();
    }
    return found != 0 ? NbdStep::progressed : NbdStep::woken;
}

Result<NbdHandle> connect_nbd(const std::string& uri, Instant deadline, const Clock& clock) {
    NbdHandle handle(::nbd_create());
    if (!handle) {
        return cannot_connect(uri, words_of_libnbd());
    }
    // Of a read nothing is used unless it succeeds.
    ::nbd_set_pread_initialize(handle.get(), false);
    if (::nbd_set_uri_allow_transports(handle.get(), LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX) != 0 ||
        ::nbd_add_meta_context(handle.get(), nbd_allocation_context) != 0 ||
        ::nbd_add_meta_context(handle.get(), nbd_depth_context) != 0 ||
        ::nbd_aio_connect_uri(handle.get(), uri.c_str()) != 0) {
        return cannot_connect(uri, words_of_libnbd());
    }
    std::string error = "the server closed the connection";
    while (::nbd_aio_is_ready(handle.get()) == 0) {
        if (is_over(handle.get())) {
            return cannot_connect(uri, error);
        }
        if (step(handle.get(), -1, deadline, clock, error) == NbdStep::timed_out) {
            return fail(ErrorCode::disk,
                        fmt::format("the server of the NBD disk {} did not answer in time", shown_uri(uri)),
                        "is it an NBD server, and does it run?");
        }
    }
    return handle;
}

void disconnect_nbd(nbd_handle* handle, const Clock& clock) {
    const Instant deadline = clock.now() + goodbye_limit;
    if (::nbd_aio_is_ready(handle) == 0 || ::nbd_aio_disconnect(handle, 0) != 0) {
        return;
    }
    std::string ignored;
    while (!is_over(handle)) {
        if (step(handle, -1, deadline, clock, ignored) == NbdStep::timed_out) {
            return;
        }
    }
}

}  // namespace godwit
