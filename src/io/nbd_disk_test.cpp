#include "io/nbd_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "io/child_process.h"
#include "io/disk_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

bool run(const std::string& command) {
    const int status = std::system(("{ " + command + "; } >/dev/null 2>&1").c_str());
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// The real time, but for what is skipped.
class SkippingClock : public Clock {
public:
    Instant now() const override { return MonotonicClock().now() + Duration(skipped_.load()); }
    void skip(Duration time) { skipped_ += time.count(); }

private:
    std::atomic<Duration::rep> skipped_{0};
};

class NbdDiskTest : public ::testing::Test {
protected:
    void SetUp() override {
        if (!run("command -v nbdkit && command -v qemu-nbd")) {
            GTEST_SKIP() << "nbdkit or qemu-nbd is not installed";
        }
    }
    /// Starts a server that takes the socket by the given option.
    void serve(const std::string& command) {
        server_.reset();
        std::filesystem::remove(socket_);
        auto server = ChildProcess::spawn("exec " + command, FileDescriptor(), FileDescriptor());
        ASSERT_OK(server);
        server_ = std::move(*server);
        ASSERT_TRUE(eventually([&] { return std::filesystem::exists(socket_); })) << command;
    }
    void serve_nbdkit(const std::string& arguments) { serve("nbdkit -f -U " + socket_ + " " + arguments); }
    void serve_qemu(const std::string& arguments) { serve("qemu-nbd -t -k " + socket_ + " " + arguments); }
    std::unique_ptr<NbdDisk> open(DiskAccess access = DiskAccess::read_write, const NbdTimeouts& timeouts = {}) {
        auto disk = NbdDisk::open(uri_, access, clock_, timeouts);
        // The server makes the socket before it listens.
        EXPECT_TRUE(eventually([&] {
            if (!disk) {
                disk = NbdDisk::open(uri_, access, clock_, timeouts);
            }
            return disk.has_value();
        })) << disk.error().text();
        return std::move(disk.value());
    }
    Error failure(const std::string& uri, const NbdTimeouts& timeouts = {}) {
        auto disk = NbdDisk::open(uri, DiskAccess::read_write, clock_, timeouts);
        const auto not_yet = [&] { return !disk && disk.error().message.find("refused") != std::string::npos; };
        EXPECT_TRUE(eventually([&] {
            if (not_yet()) {
                disk = NbdDisk::open(uri, DiskAccess::read_write, clock_, timeouts);
            }
            return !not_yet();
        }));
        EXPECT_FALSE(disk);
        return disk ? Error{} : disk.error();
    }

    SkippingClock clock_;
    TemporaryDirectory directory_;
    std::string socket_ = directory_ / "socket";
    std::string uri_ = "nbd+unix:///?socket=" + socket_;
    std::unique_ptr<ChildProcess> server_;
};

TEST_F(NbdDiskTest, ReadsWritesZeroesAndFlushes) {
    serve_nbdkit("memory 8M");
    auto disk = open();
    EXPECT_EQ(disk->size().value(), 8 * mebibyte);
    EXPECT_FALSE(disk->is_read_only());
    Bytes news = pattern(2 * mebibyte, 1);
    ASSERT_OK(disk->write(DiskOffset(512), news));
    ASSERT_OK(disk->write_zeroes(DiskOffset(mebibyte), ByteCount(65536)));
    ASSERT_OK(disk->flush());
    std::fill_n(news.begin() + mebibyte - 512, 65536, std::byte{0});
    EXPECT_TRUE(read_disk(*disk, 512, news.size()) == news);
    ASSERT_OK(disk->discard(DiskOffset(0), ByteCount(8 * mebibyte)));
    EXPECT_OK(disk->lock());
}

TEST_F(NbdDiskTest, LargeRequestsAreSplitByWhatTheServerTakes) {
    serve_nbdkit("--filter=blocksize-policy memory 96M blocksize-maximum=1M blocksize-error-policy=error");
    auto disk = open();
    const Bytes news = pattern(70 * mebibyte + 512, 2);
    ASSERT_OK(disk->write(DiskOffset(512), news));
    EXPECT_TRUE(read_disk(*disk, 512, news.size()) == news);
    ASSERT_OK(disk->write_zeroes(DiskOffset(0), ByteCount(96 * mebibyte)));
    EXPECT_EQ(read_disk(*disk, 30 * mebibyte, 4096), zero_bytes(4096));
    serve_nbdkit("memory 96M");
    auto unlimited = open();
    ASSERT_OK(unlimited->write(DiskOffset(0), news));
    EXPECT_TRUE(read_disk(*unlimited, 0, news.size()) == news);
}

TEST_F(NbdDiskTest, WhatTheServerCannotDoIsDoneInAnotherWay) {
    serve_nbdkit("--filter=nozero --filter=noextents memory 4M");
    auto disk = open();
    Bytes expected = pattern(mebibyte, 3);
    ASSERT_OK(disk->write(DiskOffset(0), expected));
    ASSERT_OK(disk->write_zeroes(DiskOffset(512), ByteCount(500 * kibibyte)));
    std::fill_n(expected.begin() + 512, 500 * kibibyte, std::byte{0});
    EXPECT_TRUE(read_disk(*disk, 0, mebibyte) == expected);
}

TEST_F(NbdDiskTest, ExtentsFollowWhatIsWritten) {
    const std::string image = sparse_file(directory_ / "image", 8 * mebibyte);
    serve_nbdkit("file " + image);
    auto disk = open();
    EXPECT_THAT(extents_of(*disk), ElementsAre(Pair(DiskContent::zeros, 8 * mebibyte)));
    ASSERT_OK(disk->write(DiskOffset(2 * mebibyte), pattern(mebibyte, 4)));
    EXPECT_THAT(extents_of(*disk),
                ElementsAre(Pair(DiskContent::zeros, 2 * mebibyte), Pair(DiskContent::data, 3 * mebibyte),
                            Pair(DiskContent::zeros, 8 * mebibyte)));
    ASSERT_OK(disk->write_zeroes(DiskOffset(2 * mebibyte), ByteCount(mebibyte)));
    EXPECT_THAT(extents_of(*disk), ElementsAre(Pair(DiskContent::zeros, 8 * mebibyte)));
    ASSERT_OK(disk->write(DiskOffset(0), pattern(mebibyte, 4)));
    EXPECT_EQ(disk->extent_at(DiskOffset(4096))->content, DiskContent::data);
    EXPECT_EQ(disk->extent_at(DiskOffset(4096))->end, DiskOffset(mebibyte));
}

TEST_F(NbdDiskTest, WithoutBlockStatusAllIsData) {
    serve_nbdkit("--filter=noextents memory 1M");
    // nbdkit tells even then that all is data; a server without structured replies tells nothing.
    EXPECT_THAT(extents_of(*open()), ElementsAre(Pair(DiskContent::data, mebibyte)));
    serve_nbdkit("--no-sr memory 1M");
    EXPECT_THAT(extents_of(*open()), ElementsAre(Pair(DiskContent::data, mebibyte)));
}

TEST_F(NbdDiskTest, QemuTellsTheLayersOfAQcow2Apart) {
    const std::string base = directory_ / "base.qcow2";
    const std::string top = directory_ / "top.qcow2";
    ASSERT_TRUE(run("qemu-img create -f qcow2 " + base + " 4M && qemu-io -c 'write -P 1 0 1M' " + base +
                    " && qemu-img create -f qcow2 -F qcow2 -b " + base + " " + top +
                    " && qemu-io -c 'write -P 2 512k 64k' -c 'write -z 2M 128k' " + top));
    serve_qemu("-A -f qcow2 " + top);
    auto disk = open();
    EXPECT_THAT(
        extents_of(*disk),
        ElementsAre(Pair(DiskContent::base, 512 * kibibyte), Pair(DiskContent::data, 576 * kibibyte),
                    Pair(DiskContent::base, 2 * mebibyte), Pair(DiskContent::zeros, 2 * mebibyte + 128 * kibibyte),
                    Pair(DiskContent::base, 4 * mebibyte)));
    EXPECT_FALSE(disk->extent_at(DiskOffset(0))->reads_as_zeros);
    EXPECT_TRUE(disk->extent_at(DiskOffset(3 * mebibyte))->reads_as_zeros) << "no layer has it";
    EXPECT_EQ(read_disk(*disk, 0, 512), Bytes(512, std::byte{1}));
    EXPECT_EQ(read_disk(*disk, 512 * kibibyte, 512), Bytes(512, std::byte{2}));
    ASSERT_OK(disk->write(DiskOffset(3 * mebibyte), pattern(512, 5)));
    ASSERT_OK(disk->flush());
    EXPECT_EQ(disk->extent_at(DiskOffset(3 * mebibyte))->content, DiskContent::data);
}

TEST_F(NbdDiskTest, ManyThreadsAtOnce) {
    serve_nbdkit("memory 16M");
    auto disk = open();
    auto queue = disk->open_queue();
    ASSERT_OK(queue);
    Bytes news = pattern(16 * mebibyte, 6);
    for (std::uint64_t i = 0; i < 256; ++i) {
        (*queue)->submit(transfer(BlockRequest::Kind::write, i * 65536, {std::span(news).subspan(i * 65536, 65536)}));
    }
    for (const BlockCompletion& completion : wait_for_completions(**queue, 256)) {
        EXPECT_OK(completion.status);
    }
    EXPECT_TRUE(read_all(*disk) == news);
}

TEST_F(NbdDiskTest, AnErrorOfTheServerIsTheRequestsError) {
    serve_nbdkit("--filter=error memory 1M error-pwrite=ENOSPC error-pwrite-rate=100%");
    auto disk = open();
    const Status written = disk->write(DiskOffset(0), pattern(512, 7));
    EXPECT_CODE(written, ErrorCode::disk);
    EXPECT_THAT(written.error().message, HasSubstr("No space left"));
    EXPECT_THAT(written.error().message, HasSubstr(uri_));
    EXPECT_EQ(read_disk(*disk, 0, 512), zero_bytes(512)) << "the connection goes on";
}

TEST_F(NbdDiskTest, AServerThatIsKilledMakesErrorsAndNoHang) {
    serve_nbdkit("--filter=delay memory 64M rdelay=60");
    auto disk = open();
    Status waiting;
    std::thread reader([&] {
        Bytes bytes(4096);
        waiting = disk->read(DiskOffset(0), bytes);
    });
    ASSERT_OK(disk->write(DiskOffset(0), pattern(4096, 8)));
    server_->kill();
    reader.join();
    EXPECT_CODE(waiting, ErrorCode::disk);
    EXPECT_THAT(waiting.error().message, HasSubstr("lost"));
    Bytes bytes(512);
    for (const Status& later : {disk->read(DiskOffset(0), bytes), disk->write(DiskOffset(0), bytes), disk->flush(),
                                disk->write_zeroes(DiskOffset(0), ByteCount(512))}) {
        EXPECT_CODE(later, ErrorCode::disk);
    }
    EXPECT_CODE(disk->extent_at(DiskOffset(0)), ErrorCode::disk);
}

TEST_F(NbdDiskTest, AServerThatDiesWhileNothingIsAskedShowsWithTheNextRequest) {
    serve_nbdkit("memory 1M");
    auto disk = open();
    server_.reset();
    EXPECT_CODE(disk->flush(), ErrorCode::disk);
}

TEST_F(NbdDiskTest, AServerThatIsStoppedIsGivenUpAfterItsTime) {
    serve_nbdkit("memory 1M");
    auto disk = open(DiskAccess::read_write, {.silence = 200ms});
    ASSERT_OK(disk->flush());
    ASSERT_EQ(::kill(server_->pid(), SIGSTOP), 0);
    // A thread of the server that runs just now stops a little later.
    ASSERT_TRUE(eventually([&] {
        siginfo_t info{};
        return ::waitid(P_PID, static_cast<id_t>(server_->pid()), &info, WSTOPPED | WNOWAIT | WNOHANG) == 0 &&
               info.si_pid == server_->pid();
    }));
    const Instant start = clock_.now();
    const Status flushed = disk->flush();
    const Duration took = clock_.now() - start;
    EXPECT_CODE(flushed, ErrorCode::disk);
    EXPECT_THAT(flushed.error().message, HasSubstr("silent for 200 ms"));
    // The silence is counted from the answer to the first flush, which came before the start.
    EXPECT_GE(took, 100ms);
    EXPECT_CODE(disk->flush(), ErrorCode::disk);
}

TEST_F(NbdDiskTest, SilenceIsFineWhileNothingIsOwed) {
    serve_nbdkit("memory 1M");
    auto disk = open(DiskAccess::read_write, {.silence = 10s});
    ASSERT_OK(disk->flush());
    clock_.skip(1h);
    EXPECT_OK(disk->flush());
}

TEST_F(NbdDiskTest, AServerThatAnswersOthersButNotThisRequestIsGivenUpAfterItsTime) {
    serve_nbdkit("--filter=delay memory 64M rdelay=15");
    auto disk = open(DiskAccess::read_write, {.silence = 30s, .slowest_bytes_per_second = 1000});
    // 4 s for its bytes.
    Bytes bytes(4000 / sector_bytes * sector_bytes + sector_bytes);
    Status waiting;
    std::atomic<bool> done{false};
    const Instant start = clock_.now();
    std::thread reader([&] {
        waiting = disk->read(DiskOffset(0), bytes);
        done = true;
    });
    Status last;
    while (last && !done && clock_.now() < start + 1h) {
        clock_.skip(100ms);
        last = disk->write(DiskOffset(0), pattern(512, 9));
    }
    reader.join();
    const Duration took = clock_.now() - start;
    EXPECT_CODE(waiting, ErrorCode::disk);
    EXPECT_THAT(waiting.error().message, HasSubstr("not carried out a request in time"));
    EXPECT_GE(took, 34s);
    EXPECT_CODE(disk->flush(), ErrorCode::disk);
}

TEST_F(NbdDiskTest, LockingForgetsWhatWasKnownOfTheDisk) {
    const std::string image = sparse_file(directory_ / "image", mebibyte);
    serve_nbdkit("file " + image);
    auto disk = open();
    EXPECT_EQ(disk->extent_at(DiskOffset(0))->content, DiskContent::zeros);
    ASSERT_OK(open()->write(DiskOffset(0), pattern(mebibyte, 4)));
    ASSERT_OK(disk->lock());
    EXPECT_EQ(disk->extent_at(DiskOffset(0))->content, DiskContent::data);
}

TEST_F(NbdDiskTest, TheIdentityIsThatOfTheExport) {
    serve_nbdkit("memory 1M");
    const auto identity_of = [&](const std::string& uri) {
        auto disk = NbdDisk::open(uri, DiskAccess::read_write, clock_);
        EXPECT_TRUE(disk) << disk.error().text();
        return disk ? (*disk)->identity() : "";
    };
    const std::string identity = open()->identity();
    EXPECT_NE(identity, "");
    EXPECT_EQ(identity_of(uri_), identity);
    std::filesystem::create_symlink(socket_, directory_ / "other name");
    EXPECT_EQ(identity_of("nbd+unix:///?socket=" + (directory_ / "other%20name")), identity);
    EXPECT_NE(identity_of("nbd+unix:///export?socket=" + socket_), identity);
    EXPECT_EQ(identity_of("nbd+unix:///%65xport?socket=" + socket_),
              identity_of("nbd+unix:///export?socket=" + socket_));
    const auto first_server = std::move(server_);
    std::filesystem::rename(socket_, directory_ / "first");
    serve_nbdkit("memory 1M");
    EXPECT_NE(open()->identity(), identity) << "another server under the same name";
    EXPECT_EQ(identity_of("nbd+unix:///?socket=" + (directory_ / "first")), identity);
}

TEST_F(NbdDiskTest, TheIdentityByAnAddressOfThisHostAlone) {
    // The server gets a socket that listens already: the system has found a port that is free.
    FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(address);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), bytes), 0);
    ASSERT_EQ(::listen(listener.get(), 8), 0);
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &bytes), 0);
    auto server = ChildProcess::spawn("export LISTEN_PID=$$ LISTEN_FDS=1; exec nbdkit -f memory 1M 3<&0 </dev/null",
                                      std::move(listener), FileDescriptor());
    ASSERT_OK(server);
    server_ = std::move(*server);
    const std::string port = std::to_string(ntohs(address.sin_port));
    const auto identity_of = [&](const std::string& uri) {
        auto disk = NbdDisk::open(uri, DiskAccess::read_write, clock_);
        EXPECT_TRUE(disk) << disk.error().text();
        return disk ? (*disk)->identity() : "";
    };
    const std::string identity = identity_of("nbd://127.0.0.1:" + port);
    EXPECT_NE(identity, "");
    EXPECT_EQ(identity_of("nbd://LocalHost:" + port + "/"), identity);
    EXPECT_NE(identity_of("nbd://127.0.0.1:" + port + "/export"), identity);
    EXPECT_THAT(identity, ::testing::Not(HasSubstr("127.0.0.1"))) << "another host has that address as well";
}

TEST_F(NbdDiskTest, RefusesWhatCannotBeADisk) {
    EXPECT_THAT(failure("nbd+unix:///?socket=" + (directory_ / "missing")).message, HasSubstr("No such file"));
    EXPECT_EQ(failure("file:///etc/passwd").code, ErrorCode::disk);
    EXPECT_EQ(failure("").code, ErrorCode::disk);
    serve_nbdkit("memory 1000");
    EXPECT_THAT(failure(uri_).message, HasSubstr("1000 bytes"));
    serve_nbdkit("--filter=blocksize-policy memory 1M blocksize-minimum=4096");
    EXPECT_THAT(failure(uri_).message, HasSubstr("multiples of 4096"));
    serve_nbdkit("-r memory 1M");
    EXPECT_THAT(failure(uri_).message, HasSubstr("allows no writes"));
    EXPECT_TRUE(open(DiskAccess::read_only)->is_read_only());
}

TEST_F(NbdDiskTest, WhoDoesNotSpeakNbdIsGivenUpAfterItsTime) {
    const FileDescriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_THAT(failure(uri_, {.connect = 100ms}).message, HasSubstr("did not answer in time"));
}

}  // namespace
}  // namespace godwit
