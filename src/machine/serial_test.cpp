#include "machine/serial.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "io/file_descriptor.h"
#include "machine/serial_stdio.h"
#include "machine/test_machine.h"

namespace godwit {
namespace {

/// A far end in memory.
class FakeBackend : public SerialBackend {
public:
    void send(std::span<const std::uint8_t> bytes) override { sent.append(bytes.begin(), bytes.end()); }
    void type(std::string_view text) {
        add_input(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
    }
    std::size_t space() const { return input_space(); }
    std::string sent;
};

struct Line {
    FakeBackend backend;
    std::vector<bool> levels;
    SerialPort port{&backend, [this](bool level) { levels.push_back(level); }};
};

TEST(SerialPort, SendsAndReceivesThroughTheBackend) {
    Line line;
    line.port.set_running(true);
    line.port.write(0, 1, 'a');
    EXPECT_EQ(line.backend.sent, "a");
    line.port.write(1, 1, 0x01);
    line.backend.type("xyz");
    EXPECT_EQ(line.levels, (std::vector{true}));
    EXPECT_EQ(line.port.read(0, 1), 'x');
    EXPECT_EQ(line.port.read(5, 1) & 1U, 1U) << "the next byte follows at once";
    EXPECT_EQ(line.port.read(0, 1), 'y');
    EXPECT_EQ(line.port.read(0, 1), 'z');
    EXPECT_EQ(line.port.read(5, 1) & 1U, 0U);
    EXPECT_EQ(line.levels.back(), false);
}

TEST(SerialPort, InputWaitsOutsideWhileTheGuestIsStopped) {
    Line line;
    line.backend.type("x");
    EXPECT_EQ(line.port.read(5, 1) & 1U, 0U);
    line.port.set_running(true);
    EXPECT_EQ(line.port.read(5, 1) & 1U, 1U);
    line.port.set_running(false);
    EXPECT_EQ(line.port.read(0, 1), 'x') << "what has arrived stays";
    line.backend.type("y");
    EXPECT_EQ(line.port.read(5, 1) & 1U, 0U);
}

TEST(SerialPort, WorksWithoutABackend) {
    SerialPort port(nullptr, [](bool) {});
    port.set_running(true);
    port.write(0, 1, 'a');
    EXPECT_EQ(port.read(5, 1), 0x60U);
}

TEST(SerialPort, MovesInQemusLayout) {
    Line source;
    source.port.set_running(true);
    source.port.write(3, 1, 0x80);
    source.port.write(0, 1, 0x34);
    source.port.write(1, 1, 0x12);
    source.port.write(3, 1, 0x03);
    source.port.write(1, 1, 0x01);
    source.port.write(2, 1, 0x01);
    source.port.write(7, 1, 0x5a);
    source.backend.type("kl");
    EXPECT_EQ(source.port.section_name(), "serial");
    EXPECT_EQ(source.port.layout().version(), 3U);
    source.port.set_running(false);
    ASSERT_TRUE(source.port.before_save());
    const auto* saved = static_cast<const Uart::Registers*>(source.port.data());
    EXPECT_EQ(saved->divider, 0x1234);
    EXPECT_EQ(saved->rbr, 'k');
    EXPECT_EQ(saved->iir, 0xc4);
    EXPECT_EQ(saved->lsr, 0x61);

    // Outside of the stream the layouts of both sides are the same structure.
    Line destination;
    *static_cast<Uart::Registers*>(destination.port.data()) = *saved;
    ASSERT_TRUE(destination.port.after_load(3));
    EXPECT_EQ(destination.levels, (std::vector{true})) << "the line follows from the registers";
    EXPECT_EQ(destination.port.read(0, 1), 'k');
    EXPECT_EQ(destination.port.read(7, 1), 0x5aU);
    EXPECT_EQ(destination.port.read(1, 1), 0x01U);
}

TEST(SerialPort, LayoutHasQemusFieldsInOrder) {
    Line line;
    const auto& outer = line.port.layout().fields();
    ASSERT_EQ(outer.size(), 1U);
    EXPECT_EQ(outer[0].name, "state");
    const VmState& inner = *outer[0].nested;
    EXPECT_EQ(inner.name(), "serial");
    EXPECT_EQ(inner.version(), 3U);
    std::string names;
    std::size_t wire_bytes = 0;
    for (const VmField& field : inner.fields()) {
        names += field.name + " ";
        wire_bytes += field.element_bytes * field.count;
    }
    EXPECT_EQ(names, "divider rbr ier iir lcr mcr lsr msr scr fcr_vmstate ");
    EXPECT_EQ(wire_bytes, 11U);
}

TEST(SerialPort, InputQueueIsBounded) {
    Line line;
    EXPECT_EQ(line.backend.space(), max_serial_input_bytes);
    line.backend.type(std::string(max_serial_input_bytes, 'x'));
    EXPECT_EQ(line.backend.space(), 0U);
    line.port.set_running(true);
    line.port.read(0, 1);
    EXPECT_EQ(line.backend.space(), 2U) << "one in the register, one read";
}

class BackendTest : public LoopTest {
protected:
    static void send(SerialBackend& backend, std::string_view text) {
        backend.send(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
    }
    static std::string take_all(SerialBackend& backend) {
        std::string text;
        while (const auto byte = backend.take_input()) {
            text += static_cast<char>(*byte);
        }
        return text;
    }
    std::unique_ptr<SerialBackend> open(const SerialSpec& spec) {
        auto backend = open_serial_backend(spec, loop, clock, log);
        EXPECT_TRUE(backend) << backend.error().text();
        return std::move(*backend);
    }
    FileDescriptor connect_to(const std::string& name) const {
        FileDescriptor client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(name.begin(), name.end(), address.sun_path);
        EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        return client;
    }
    /// What there is to read now.
    static std::string read_now(int descriptor) {
        char buffer[4096];
        pollfd ready{descriptor, POLLIN, 0};
        if (::poll(&ready, 1, 0) != 1) {
            return "";
        }
        const ssize_t got = ::read(descriptor, buffer, sizeof(buffer));
        return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "";
    }
    static void write_all(int descriptor, std::string_view text) {
        EXPECT_EQ(::write(descriptor, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
};

TEST_F(BackendTest, NoneIsNull) {
    EXPECT_EQ(open({}), nullptr);
}

TEST_F(BackendTest, AFileIsAppendedTo) {
    send(*open({SerialSpec::Kind::file, path("out")}), "one\n");
    send(*open({SerialSpec::Kind::file, path("out")}), "two\n");
    EXPECT_EQ(contents(path("out")), "one\ntwo\n");
    const auto error = open_serial_backend({SerialSpec::Kind::file, "/nonexistent/x"}, loop, clock, log);
    ASSERT_FALSE(error);
    EXPECT_EQ(error.error().code, ErrorCode::io);
}

TEST_F(BackendTest, AFullDiskIsSaidOnce) {
    const auto backend = open({SerialSpec::Kind::file, "/dev/full"});
    send(*backend, "a");
    send(*backend, "b");
    EXPECT_NE(log.text().find("/dev/full"), std::string::npos);
    EXPECT_EQ(log.text().find("lost"), log.text().rfind("lost"));
}

TEST_F(BackendTest, AUnixSocketServesOneClientAfterAnother) {
    const auto backend = open({SerialSpec::Kind::unix_socket, path("s")});
    send(*backend, "nobody hears this");
    for (int round = 0; round < 3; ++round) {
        FileDescriptor client = connect_to(path("s"));
        write_all(client.get(), "in");
        std::string input;
        ASSERT_TRUE(run_until([&] { return (input += take_all(*backend)) == "in"; }));
        send(*backend, "out");
        std::string output;
        ASSERT_TRUE(wait_until([&] { return (output += read_now(client.get())) == "out"; }));
        client.reset();
        send(*backend, "the client is gone");
    }
}

TEST_F(BackendTest, AClientThatStallsHoldsNobody) {
    const auto backend = open({SerialSpec::Kind::unix_socket, path("s")});
    FileDescriptor client = connect_to(path("s"));
    write_all(client.get(), "x");
    ASSERT_TRUE(run_until([&] { return backend->take_input().has_value(); }));
    const Instant start = clock.now();
    const std::string piece(1000, 'o');
    for (int n = 0; n < 3000; ++n) {
        send(*backend, piece);
    }
    EXPECT_LT(clock.now() - start, std::chrono::seconds(5));
}

TEST_F(BackendTest, AClientThatTypesTooMuchIsHeldBackAndNothingIsLost) {
    const auto backend = open({SerialSpec::Kind::unix_socket, path("s")});
    FileDescriptor client = connect_to(path("s"));
    std::string typed;
    for (std::size_t n = 0; typed.size() < 3 * max_serial_input_bytes; ++n) {
        typed += std::to_string(n) + ",";
    }
    std::thread writer([&] { write_all(client.get(), typed); });
    std::string got;
    EXPECT_TRUE(run_until([&] {
        for (int n = 0; n < 700; ++n) {
            if (const auto byte = backend->take_input()) {
                got += static_cast<char>(*byte);
            }
        }
        return got.size() >= typed.size();
    }));
    writer.join();
    EXPECT_EQ(got, typed);
}

TEST_F(BackendTest, AStaleSocketIsReplacedAndALivingOneIsNot) {
    auto first = open({SerialSpec::Kind::unix_socket, path("s")});
    const auto second = open_serial_backend({SerialSpec::Kind::unix_socket, path("s")}, loop, clock, log);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::io);
    first.reset();
    EXPECT_FALSE(std::filesystem::exists(path("s")));
    {
        FileDescriptor left_behind(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string name = path("s");
        std::copy(name.begin(), name.end(), address.sun_path);
        ASSERT_EQ(::bind(left_behind.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    }
    const auto again = open({SerialSpec::Kind::unix_socket, path("s")});
    EXPECT_EQ(std::filesystem::status(path("s")).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const auto too_long = open_serial_backend({SerialSpec::Kind::unix_socket, std::string(200, 'x')}, loop, clock, log);
    EXPECT_EQ(too_long.error().code, ErrorCode::invalid_argument);
}

TEST_F(BackendTest, AFileThatIsNoSocketIsLeftAlone) {
    std::ofstream(path("file")) << "data";
    const auto refused = open_serial_backend({SerialSpec::Kind::unix_socket, path("file")}, loop, clock, log);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::io);
    EXPECT_TRUE(std::filesystem::is_regular_file(path("file")));
}

TEST_F(BackendTest, StandardOutputOfASlowReaderIsQueuedThenDropped) {
    int out[2];
    int in[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
    const FileDescriptor out_read(out[0]), out_write(out[1]), in_read(in[0]);
    FileDescriptor in_write(in[1]);
    const auto backend = make_serial_over_descriptors(in_read.get(), out_write.get(), loop, clock, log);

    write_all(in_write.get(), "typed");
    std::string input;
    ASSERT_TRUE(run_until([&] { return (input += take_all(*backend)) == "typed"; }));
    in_write.reset();

    // More than a pipe holds, less than pipe and queue together: it arrives whole, later.
    std::string sent;
    for (int n = 0; sent.size() < 200'000; ++n) {
        sent += std::to_string(n) + "\n";
    }
    send(*backend, sent);
    std::string got;
    ASSERT_TRUE(run_until([&] { return (got += read_now(out_read.get())).size() >= sent.size(); }));
    EXPECT_EQ(got, sent);
    EXPECT_EQ(log.text(), "");

    send(*backend, std::string(2 * max_serial_output_bytes, 'x'));
    EXPECT_NE(log.text().find("dropped"), std::string::npos);
    send(*backend, "y");
}

TEST_F(BackendTest, ASlowReaderOfStandardOutputGetsTheLastWords) {
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const FileDescriptor out_read(out[0]);
    FileDescriptor out_write(out[1]);
    const FileDescriptor in_read(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    auto backend = make_serial_over_descriptors(in_read.get(), out_write.get(), loop, clock, log);
    const std::string sent = std::string(150'000, 'x') + "the verdict";
    send(*backend, sent);
    std::string got;
    std::thread reader([&] {
        std::array<char, 10'000> bytes;
        for (ssize_t count = 1; count > 0; got.append(bytes.data(), static_cast<std::size_t>(count))) {
            count = std::max<ssize_t>(::read(out_read.get(), bytes.data(), bytes.size()), 0);
        }
    });
    backend.reset();
    out_write.reset();
    reader.join();
    EXPECT_EQ(got, sent);
    EXPECT_EQ(log.text(), "");
}

TEST_F(BackendTest, AReaderThatReadsNothingHoldsTheEndUpForASecondOnly) {
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const FileDescriptor out_read(out[0]), out_write(out[1]);
    const FileDescriptor in_read(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    auto backend = make_serial_over_descriptors(in_read.get(), out_write.get(), loop, clock, log);
    send(*backend, std::string(150'000, 'x'));
    const Instant begin = clock.now();
    backend.reset();
    EXPECT_GE(clock.now() - begin, std::chrono::seconds(1));
    EXPECT_LT(clock.now() - begin, std::chrono::seconds(5));
    EXPECT_NE(log.text().find("are dropped"), std::string::npos);
}

}  // namespace
}  // namespace godwit
