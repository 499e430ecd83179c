#include "tools/link_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "io/write_all.h"

namespace godwit {

namespace {

using namespace std::chrono_literals;

/// What both sides begin with; the last byte is the version.
constexpr std::array<char, 16> hello{'g', 'o', 'd', 'w', 'i', 't', ' ', 'b', 'e', 'n', 'c', 'h', 0, 0, 0, 1};
constexpr Duration hello_timeout = 5s;
constexpr Duration idle_timeout = 30s;
constexpr Duration longest_service = 10min;

/// A message: what it is, and a count in network order. Its answer repeats it.
enum class Kind : std::uint8_t { ping = 'P', data = 'D' };
constexpr std::size_t message_bytes = 9;
using Message = std::array<std::byte, message_bytes>;

constexpr std::uint64_t most_bytes = std::uint64_t{1} << 40;
constexpr std::uint64_t call_bytes = std::uint64_t{1} << 20;
constexpr std::uint64_t first_bytes = std::uint64_t{8} << 20;
constexpr int pings = 200;

Message make_message(Kind kind, std::uint64_t count) {
    Message message;
    message[0] = static_cast<std::byte>(kind);
    for (std::size_t i = 0; i < 8; ++i) {
        message[1 + i] = static_cast<std::byte>(count >> (56 - 8 * i));
    }
    return message;
}

std::uint64_t count_of(const Message& message) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        count = count << 8 | std::to_integer<std::uint64_t>(message[1 + i]);
    }
    return count;
}

/// False when the peer ended its direction before the first byte.
Result<bool> read_all(Channel& channel, MutableBuffer memory, Instant deadline) {
    const std::size_t wanted = memory.size();
    while (!memory.empty()) {
        const auto got = channel.read_some({&memory, 1}, deadline);
        if (!got) {
            return fail(got.error());
        }
        if (*got == 0) {
            return memory.size() == wanted ? Result<bool>(false)
                                           : fail(ErrorCode::peer_closed, "the peer ended in the middle of a message");
        }
        memory = memory.subspan(*got);
    }
    return true;
}

Status expect(Channel& channel, ConstBuffer expected, Instant deadline) {
    std::array<std::byte, 16> found{};
    const MutableBuffer buffer(found.data(), expected.size());
    const auto read = read_all(channel, buffer, deadline);
    if (!read) {
        return fail(read.error());
    }
    return *read && std::memcmp(found.data(), expected.data(), expected.size()) == 0
               ? Status()
               : fail(ErrorCode::stream_corrupt,
                      fmt::format("the peer does not speak the protocol of `godwit bench` ({})",
                                  channel.traits().description),
                      "start `godwit bench --listen` there, of the same version");
}

ConstBuffer hello_bytes() {
    return std::as_bytes(std::span(hello));
}

Status receive_data(Channel& channel, const Clock& clock, MutableBuffer memory, std::uint64_t count, Instant end) {
    std::size_t at = 0;
    while (count > 0) {
        const MutableBuffer piece = memory.subspan(at, std::min({memory.size() - at, call_bytes, count}));
        const auto got = channel.read_some({&piece, 1}, std::min(end, clock.now() + idle_timeout));
        if (!got) {
            return fail(got.error());
        }
        if (*got == 0) {
            return fail(ErrorCode::peer_closed, "the peer ended in the middle of the data");
        }
        count -= *got;
        at = (at + *got) % memory.size();
    }
    return {};
}

Result<Duration> ping(Channel& channel, const Clock& clock) {
    const Message message = make_message(Kind::ping, 0);
    const Instant begin = clock.now();
    if (Status written = write_all(channel, message, begin + idle_timeout); !written) {
        return fail(written.error());
    }
    if (Status answered = expect(channel, message, begin + idle_timeout); !answered) {
        return fail(answered.error());
    }
    return clock.now() - begin;
}

}  // namespace

Status probe_hello(Channel& channel, const Clock& clock) {
    const Instant deadline = clock.now() + hello_timeout;
    const Status written = write_all(channel, hello_bytes(), deadline);
    return written ? expect(channel, hello_bytes(), deadline) : written;
}

Result<Duration> probe_bulk(Channel& channel, const Clock& clock, ConstBuffer data, ByteCount count) {
    const Message message = make_message(Kind::data, count.value());
    const Instant begin = clock.now();
    if (Status written = write_all(channel, message, begin + idle_timeout); !written) {
        return fail(written.error());
    }
    std::size_t at = 0;
    for (std::uint64_t left = count.value(); left > 0;) {
        const ConstBuffer piece = data.subspan(at, std::min({data.size() - at, call_bytes, left}));
        const auto sent = channel.write_some({&piece, 1}, clock.now() + idle_timeout);
        if (!sent) {
            return fail(sent.error());
        }
        left -= *sent;
        at = (at + *sent) % data.size();
    }
    if (Status answered = expect(channel, message, clock.now() + idle_timeout); !answered) {
        return fail(answered.error());
    }
    return clock.now() - begin;
}

Result<LinkSpeed> probe_link(Channel& channel, const Clock& clock, ConstBuffer data, Duration duration) {
    if (Status met = probe_hello(channel, clock); !met) {
        return fail(met.error());
    }
    std::vector<Duration> trips;
    for (int i = 0; i < pings; ++i) {
        const auto trip = ping(channel, clock);
        if (!trip) {
            return fail(trip.error());
        }
        trips.push_back(*trip);
    }
    std::sort(trips.begin(), trips.end());
    LinkSpeed speed;
    speed.round_trip = trips[trips.size() / 2];
    speed.least_round_trip = trips.front();
    // More and more, until what takes the wished time is known.
    for (std::uint64_t count = first_bytes;;) {
        const auto taken = probe_bulk(channel, clock, data, ByteCount(count));
        if (!taken) {
            return fail(taken.error());
        }
        speed.sent += ByteCount(count);
        const double seconds = std::max(1e-9, std::chrono::duration<double>(*taken).count());
        speed.bytes_per_s = static_cast<double>(count) / seconds;
        if (*taken * 2 >= duration || count == most_bytes) {
            break;
        }
        const double wanted = speed.bytes_per_s * std::chrono::duration<double>(duration).count();
        count = std::min({most_bytes, count * 8, std::max(first_bytes, static_cast<std::uint64_t>(wanted))});
    }
    const Status finished = channel.finish_writing(clock.now() + idle_timeout);
    return finished ? Result<LinkSpeed>(speed) : fail(finished.error());
}

Result<LinkAccount> answer_probe(Channel& channel, const Clock& clock, MutableBuffer memory) {
    const Instant begin = clock.now();
    const Instant end = begin + longest_service;
    if (Status met = expect(channel, hello_bytes(), begin + hello_timeout); !met) {
        return met.error().code == ErrorCode::idle_timeout
                   ? fail(ErrorCode::handshake_timeout, "the peer did not say what it wants")
                   : fail(met.error());
    }
    if (Status answered = write_all(channel, hello_bytes(), clock.now() + hello_timeout); !answered) {
        return fail(answered.error());
    }
    LinkAccount account;
    for (Message message;;) {
        const auto read = read_all(channel, message, std::min(end, clock.now() + idle_timeout));
        if (!read) {
            return fail(read.error());
        }
        if (!*read) {
            return account;
        }
        const std::uint64_t count = count_of(message);
        if (message[0] == static_cast<std::byte>(Kind::data) && count <= most_bytes) {
            if (Status received = receive_data(channel, clock, memory, count, end); !received) {
                return fail(received.error());
            }
            account.received += ByteCount(count);
        } else if (message[0] == static_cast<std::byte>(Kind::ping) && count == 0) {
            ++account.round_trips;
        } else {
            return fail(
                ErrorCode::stream_corrupt,
                fmt::format("the peer asks for what `godwit bench` does not know ({})", channel.traits().description));
        }
        if (Status answered = write_all(channel, message, std::min(end, clock.now() + idle_timeout)); !answered) {
            return fail(answered.error());
        }
    }
}

}  // namespace godwit
