#include "rdma/hello.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/printable.h"
#include "io/channel_errors.h"
#include "io/system_error.h"
#include "rdma/fabric.h"
#include "rdma/payload.h"

namespace godwit::rdma {

namespace {

constexpr std::string_view magic = "GWRD";
constexpr std::uint32_t can_pin_all_flag = 1;
constexpr std::size_t padding_bytes = 2;
constexpr const char* source_hint =
    "check that the destination waits with rdma: at this address, and look at its messages";
constexpr const char* destination_hint = "check that the source is a godwit that migrates to an rdma: address";

/// The fixed part in the form in which it travels.
struct Fields {
    std::uint32_t version = hello_version;
    std::uint32_t flags = 0;
    std::uint32_t transport = 0;
    HostIdentity host;
    bool refusal = false;
    std::uint32_t rest_bytes = 0;
};

std::vector<std::byte> encode(const Fields& fields, ConstBuffer rest) {
    std::vector<std::byte> bytes;
    PayloadWriter writer(bytes);
    writer.put_text(magic);
    writer.put(fields.version);
    writer.put(fields.flags);
    writer.put(fields.transport);
    writer.put_bytes(fields.host.boot_id);
    writer.put(fields.host.pid_namespace);
    writer.put(static_cast<std::uint8_t>(fields.host.has_rdma_device));
    writer.put(static_cast<std::uint8_t>(fields.refusal));
    writer.put(std::uint16_t{0});
    writer.put(static_cast<std::uint32_t>(rest.size()));
    GODWIT_ASSERT(bytes.size() == hello_bytes, "a hello of {} bytes", bytes.size());
    writer.put_bytes(rest);
    return bytes;
}

std::string text_of(ConstBuffer bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Checks the magic only: who refuses may be of any version.
Result<Fields> decode(ConstBuffer bytes, const std::string& name) {
    PayloadReader reader(bytes);
    if (const std::string start = text_of(reader.get_bytes(magic.size())); start != magic) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("the peer does not speak RDMA, it begins with '{}' ({})", printable(start), name));
    }
    Fields fields;
    fields.version = reader.get<std::uint32_t>();
    fields.flags = reader.get<std::uint32_t>();
    fields.transport = reader.get<std::uint32_t>();
    const ConstBuffer boot_id = reader.get_bytes(fields.host.boot_id.size());
    std::copy(boot_id.begin(), boot_id.end(), fields.host.boot_id.begin());
    fields.host.pid_namespace = reader.get<std::uint64_t>();
    fields.host.has_rdma_device = reader.get<std::uint8_t>() != 0;
    fields.refusal = reader.get<std::uint8_t>() != 0;
    static_cast<void>(reader.get_bytes(padding_bytes));
    fields.rest_bytes = reader.get<std::uint32_t>();
    return fields;
}

Status check_version(const Fields& fields, const std::string& name) {
    if (fields.version == 0 || fields.version > hello_version) {
        return fail(ErrorCode::stream_version,
                    fmt::format("the peer speaks version {} of the RDMA protocol, only {} is known here ({})",
                                fields.version, hello_version, name),
                    "use the same version of godwit on both sides");
    }
    return {};
}

tl::unexpected<Error> fail_hello(WaitOutcome outcome, const std::string& name) {
    if (outcome == WaitOutcome::cancelled) {
        return fail_cancelled(name);
    }
    return fail(ErrorCode::handshake_timeout,
                fmt::format("the peer did not begin the RDMA protocol in time ({})", name));
}

tl::unexpected<Error> fail_closed(const std::string& name) {
    return fail(ErrorCode::peer_closed,
                fmt::format("the peer closed the connection before the RDMA protocol had begun ({})", name));
}

bool is_closed(int error) {
    return error == ECONNRESET || error == EPIPE || error == ENOTCONN;
}

/// Calls `move` on what is left of `bytes` until all of it has been moved.
template <typename Move>
Status move_all(const HelloConnection& connection, MutableBuffer bytes, short poll_events, Move move) {
    while (!bytes.empty()) {
        const WaitOutcome outcome =
            connection.cancel.wait(connection.socket, poll_events, connection.deadline, connection.clock);
        if (outcome != WaitOutcome::ready) {
            return fail_hello(outcome, connection.name);
        }
        const ssize_t moved = move(bytes);
        if (moved == 0 || (moved < 0 && is_closed(errno))) {
            return fail_closed(connection.name);
        }
        if (moved > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(moved));
        } else if (errno != EAGAIN && errno != EINTR) {
            return fail_errno(ErrorCode::io, fmt::format("the connection failed ({})", connection.name), errno);
        }
    }
    return {};
}

Status send_all(const HelloConnection& connection, std::vector<std::byte> bytes) {
    return move_all(connection, bytes, POLLOUT, [&](MutableBuffer rest) {
        return ::send(connection.socket, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    });
}

Result<std::vector<std::byte>> receive(const HelloConnection& connection, std::size_t count) {
    std::vector<std::byte> bytes(count);
    Status received = move_all(connection, bytes, POLLIN, [&](MutableBuffer rest) {
        return ::recv(connection.socket, rest.data(), rest.size(), MSG_DONTWAIT);
    });
    if (!received) {
        return fail(received.error());
    }
    return bytes;
}

Result<Fields> receive_fields(const HelloConnection& connection) {
    const auto bytes = receive(connection, hello_bytes);
    if (!bytes) {
        return fail(bytes.error());
    }
    return decode(*bytes, connection.name);
}

tl::unexpected<Error> fail_garbage(const HelloConnection& connection, std::string_view what) {
    return fail(ErrorCode::stream_corrupt, fmt::format("RDMA's hello: {} ({})", what, connection.name));
}

/// The destination's text is the error.
tl::unexpected<Error> read_refusal(const HelloConnection& connection, const Fields& fields) {
    if (fields.rest_bytes > max_refusal_bytes) {
        return fail_garbage(connection, fmt::format("a refusal of {} bytes", fields.rest_bytes));
    }
    const auto text = receive(connection, fields.rest_bytes);
    if (!text) {
        return fail(text.error());
    }
    return fail(ErrorCode::peer_failed,
                fmt::format("the destination refused: {} ({})", printable(text_of(*text)), connection.name));
}

Status check_answer(const HelloConnection& connection, const Fields& fields, Transport wish) {
    const auto transport = static_cast<Transport>(fields.transport);
    if (fields.transport == 0 || fields.transport > static_cast<std::uint32_t>(Transport::verbs) ||
        (wish != Transport::automatic && transport != wish)) {
        return fail_garbage(connection, fmt::format("transport {} was not asked for", fields.transport));
    }
    if (fields.rest_bytes == 0 || fields.rest_bytes > max_fabric_address_bytes) {
        return fail_garbage(connection, fmt::format("an address of {} bytes", fields.rest_bytes));
    }
    return {};
}

Status check_hello(const HelloConnection& connection, const Fields& fields) {
    if (Status version = check_version(fields, connection.name); !version) {
        return version;
    }
    if (fields.transport > static_cast<std::uint32_t>(Transport::verbs)) {
        return fail_garbage(connection, fmt::format("the unknown transport {}", fields.transport));
    }
    if (fields.refusal) {
        return fail_garbage(connection, "a refusal from the source");
    }
    if (fields.rest_bytes != 0) {
        return fail_garbage(connection, fmt::format("{} bytes follow the source's", fields.rest_bytes));
    }
    return {};
}

/// For what may have happened because the peer is something else than this side takes it for.
template <typename Value>
Result<Value> with_hint(Result<Value> exchanged, const char* hint) {
    if (!exchanged && exchanged.error().hint.empty()) {
        const ErrorCode code = exchanged.error().code;
        if (code == ErrorCode::handshake_timeout || code == ErrorCode::peer_closed ||
            code == ErrorCode::stream_corrupt) {
            exchanged.error().hint = hint;
        }
    }
    return exchanged;
}

Result<HelloAnswer> exchange_hellos(const HelloConnection& connection, const Hello& hello) {
    const Fields offer{.flags = hello.can_pin_all ? can_pin_all_flag : 0,
                       .transport = static_cast<std::uint32_t>(hello.wish),
                       .host = hello.host};
    if (Status sent = send_all(connection, encode(offer, {})); !sent) {
        return fail(sent.error());
    }
    const auto fields = receive_fields(connection);
    if (!fields) {
        return fail(fields.error());
    }
    if (fields->refusal) {
        return read_refusal(connection, *fields);
    }
    if (Status version = check_version(*fields, connection.name); !version) {
        return fail(version.error());
    }
    if (Status checked = check_answer(connection, *fields, hello.wish); !checked) {
        return fail(checked.error());
    }
    auto address = receive(connection, fields->rest_bytes);
    if (!address) {
        return fail(address.error());
    }
    return HelloAnswer{.can_pin_all = hello.can_pin_all && (fields->flags & can_pin_all_flag) != 0,
                       .transport = static_cast<Transport>(fields->transport),
                       .host = fields->host,
                       .fabric_address = std::move(*address)};
}

}  // namespace

Result<HelloAnswer> say_hello(const HelloConnection& connection, const Hello& hello) {
    return with_hint(exchange_hellos(connection, hello), source_hint);
}

Result<Hello> hear_hello(const HelloConnection& connection) {
    const auto fields = with_hint(receive_fields(connection), destination_hint);
    if (!fields) {
        return fail(fields.error());
    }
    if (Status checked = check_hello(connection, *fields); !checked) {
        // The first error is the one that counts.
        static_cast<void>(refuse_hello(connection, checked.error().message));
        return fail(checked.error());
    }
    return Hello{.can_pin_all = (fields->flags & can_pin_all_flag) != 0,
                 .wish = static_cast<Transport>(fields->transport),
                 .host = fields->host};
}

Status answer_hello(const HelloConnection& connection, const HelloAnswer& answer) {
    GODWIT_ASSERT(answer.fabric_address.size() <= max_fabric_address_bytes, "a fabric's address of {} bytes",
                  answer.fabric_address.size());
    const Fields fields{.flags = answer.can_pin_all ? can_pin_all_flag : 0,
                        .transport = static_cast<std::uint32_t>(answer.transport),
                        .host = answer.host};
    return send_all(connection, encode(fields, answer.fabric_address));
}

Status refuse_hello(const HelloConnection& connection, std::string_view reason) {
    const std::string_view text = reason.substr(0, max_refusal_bytes);
    Fields fields;
    fields.refusal = true;
    return send_all(connection, encode(fields, std::as_bytes(std::span(text))));
}

}  // namespace godwit::rdma
