// A hostile peer of a connection for RDMA. First byte: which part hears it, in pieces of which size, and a choice of
// that part.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_machine.h"
#include "fuzz/fuzz_rdma.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "fuzz/one_thread.h"
#include "godwit/migration.h"
#include "io/monotonic_clock.h"
#include "rdma/hello.h"
#include "rdma/rdma_channel.h"
#include "rdma/socket_control_connection.h"

namespace godwit::fuzz {
namespace {

using namespace rdma;  // NOLINT(google-build-using-namespace)

struct Choice {
    enum class Part { destination, page_sender, hello, connection };

    explicit Choice(std::uint8_t byte)
        : part(static_cast<Part>(byte & 3U)),
          piece_bytes(std::array<std::size_t, 4>{65536, 1, 7, 4099}.at((byte >> 2U) & 3U)),
          flag((byte & 16U) != 0) {}

    Part part;
    std::size_t piece_bytes;
    bool flag;
};

void check_error(const Error& error) {
    GODWIT_ASSERT(!error.message.empty() && printable(error.message) == error.message,
                  "an error without a message fit to print");
}

class ReadyOpener : public ChannelOpener {
public:
    explicit ReadyOpener(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {}
    Result<std::unique_ptr<Channel>> open(Instant) override { return std::move(channel_); }
    void cancel() override {}

private:
    std::unique_ptr<Channel> channel_;
};

/// A whole destination, which is sent control messages with a stream within them.
void receive_migration(const Choice& choice, ConstBuffer bytes) {
    testing::ManualClock clock;
    FlagWaiter waiter;
    OneThread executor;
    CheckedLog log;
    FuzzMachine machine;
    const Environment environment{clock,
                                  waiter,
                                  executor,
                                  machine,
                                  machine,
                                  log,
                                  {&machine.device},
                                  machine_type,
                                  nullptr,
                                  {{FuzzDisk::name, &machine.disk}}};
    const ByteCount limit = choice.flag ? ByteCount(chunk_bytes) : no_registration_limit;
    IncomingMigration migration(environment, MigrationParameters{});
    const Status started = migration.start(std::make_unique<ReadyOpener>(std::make_unique<RdmaChannel>(
        Role::destination, std::make_unique<FuzzControl>(bytes, choice.piece_bytes),
        std::make_unique<FuzzFabric>(machine.blocks()), "fuzz", PageTerms{.registration_limit = limit})));
    GODWIT_ASSERT(started.has_value(), "{}", started.error().text());
    executor.run_posted();
    const MigrationStatistics figures = migration.statistics();
    const bool completed = figures.state == MigrationState::completed;
    GODWIT_ASSERT(completed || figures.state == MigrationState::failed, "ended as {}", to_string(figures.state));
    GODWIT_ASSERT(machine.starts == (completed ? 1 : 0), "the guest was started {} times", machine.starts);
    if (!completed) {
        check_error(*figures.error);
    }
}

/// A source's memory of several chunks, which is only read.
std::span<const RamBlock> source_blocks() {
    constexpr std::uint64_t big_bytes = 2 * chunk_bytes + 4 * page_bytes;
    alignas(page_bytes) static std::array<std::byte, big_bytes + 2 * page_bytes> memory;
    static const std::array<RamBlock, 2> blocks{
        RamBlock{"ram", memory.data(), ByteCount(big_bytes)},
        RamBlock{"rom", memory.data() + big_bytes, ByteCount(2 * page_bytes)},
    };
    return blocks;
}

/// A source that waits for the peer's answers.
void send_pages(const Choice& choice, ConstBuffer bytes) {
    constexpr int rounds = 3;
    constexpr std::array chunks_first_pages{PageNumber(0), PageNumber(chunk_pages), PageNumber(2 * chunk_pages)};
    FuzzControl control(bytes, choice.piece_bytes);
    PageSender sender(control, std::make_unique<FuzzFabric>(source_blocks()));
    Status status = sender.open(source_blocks(), choice.flag, never);
    std::uint64_t put_pages = 0;
    for (int round = 0; status && round < rounds; ++round) {
        for (const PageNumber page : chunks_first_pages) {
            sender.put_page(0, page);
            sender.put_page(0, page + PageNumber(1));
            sender.put_zero_page(0, page + PageNumber(2));
        }
        sender.put_page(1, PageNumber(1));
        put_pages += 2 * chunks_first_pages.size() + 1;
        status = sender.push(never);
        status = status ? sender.end_round(never) : status;
    }
    const DirectPageFigures figures = sender.figures();
    GODWIT_ASSERT(figures.pages <= put_pages && (!status || figures.pages == put_pages), "{} of {} pages are written",
                  figures.pages, put_pages);
    if (!status) {
        check_error(status.error());
        const Status again = sender.end_round(never);
        GODWIT_ASSERT(!again && again.error().message == status.error().message, "the first error does not stick");
    }
    sender.close();
}

/// The fuzzer's bytes in a socket whose other end is closed after them.
FileDescriptor socket_with(ConstBuffer bytes) {
    std::array<int, 2> ends{};
    GODWIT_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, "no sockets");
    const FileDescriptor peer(ends[1]);
    // What does not fit is cut off.
    static_cast<void>(::send(peer.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    ::shutdown(peer.get(), SHUT_WR);
    return FileDescriptor(ends[0]);
}

void exchange_hellos(const Choice& choice, ConstBuffer bytes) {
    static const std::unique_ptr<CancelEvent> cancel = *CancelEvent::create();
    const MonotonicClock clock;
    const FileDescriptor socket = socket_with(bytes);
    const HelloConnection connection{socket.get(), "fuzz", *cancel, never, clock};
    if (choice.flag) {
        const auto hello = hear_hello(connection);
        if (!hello) {
            return check_error(hello.error());
        }
        static_cast<void>(choose_transport(hello->wish, hello->host, HostIdentity{}));
        return;
    }
    const auto answer = say_hello(connection, {.can_pin_all = true, .wish = Transport::automatic, .host = {}});
    if (!answer) {
        return check_error(answer.error());
    }
    GODWIT_ASSERT(answer->transport != Transport::automatic && !answer->fabric_address.empty() &&
                      answer->fabric_address.size() <= max_fabric_address_bytes,
                  "transport {} at an address of {} bytes", to_string(answer->transport),
                  answer->fabric_address.size());
}

/// The connection itself, with its thread.
void connect(const Choice& choice, ConstBuffer bytes) {
    const MonotonicClock clock;
    const auto connection = SocketControlConnection::create(socket_with(bytes), "fuzz", clock);
    GODWIT_ASSERT(connection.has_value(), "{}", connection.error().text());
    ControlConnection& control = **connection;
    if (choice.flag) {
        const std::array ranges{ChunkRange{0, ChunkNumber(0), 1}};
        // It waits for the peer's READY, and ends at the latest with the input.
        static_cast<void>(control.send(encode(MessageType::register_request, ranges), never));
        static_cast<void>(control.receive_response(never));
    }
    for (auto message = control.receive(never); message; message = control.receive(never)) {
        GODWIT_ASSERT(needs_ready((*message)->type), "{} was received", to_string((*message)->type));
        static_cast<void>(control.done());
    }
    const Status settled = control.settle();
    GODWIT_ASSERT(!settled, "the end of the input went unnoticed");
    check_error(settled.error());
    control.shut_down("the input is used up");
    control.wait_farewell();
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit::fuzz;
    Input input(data, size);
    const Choice choice(input.choice());
    switch (choice.part) {
        case Choice::Part::destination:
            receive_migration(choice, input.rest());
            break;
        case Choice::Part::page_sender:
            send_pages(choice, input.rest());
            break;
        case Choice::Part::hello:
            exchange_hellos(choice, input.rest());
            break;
        case Choice::Part::connection:
            connect(choice, input.rest());
            break;
    }
    return 0;
}
