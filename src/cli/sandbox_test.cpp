#include "cli/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "io/file_descriptor.h"

namespace godwit {
namespace {

/// Runs `work` on a thread that is confined first and ends with it.
void confined(Sandbox sandbox, LoadingWay way, const std::function<void()>& work) {
    std::thread([&] {
        const Status done = confine_loading_thread(sandbox, way);
        ASSERT_TRUE(done) << done.error().text();
        work();
    }).join();
}

struct Call {
    const char* name;
    std::function<long()> make;
};

/// The numbers of x32, with which a filter for the usual ones could be passed by.
constexpr long x32 = 0x4000'0000;

/// Not one of them would do any harm, were it carried out.
std::vector<Call> forbidden_calls() {
    static const char path[] = "/dev/null";
    return {
        {"execve", [] { return ::syscall(SYS_execve, "/nonexistent", nullptr, nullptr); }},
        {"execveat", [] { return ::syscall(SYS_execveat, AT_FDCWD, "/nonexistent", nullptr, nullptr, 0); }},
        {"open to read", [] { return ::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0); }},
        {"open to write", [] { return ::syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0); }},
        {"the old open", [] { return ::syscall(SYS_open, path, O_RDONLY | O_CLOEXEC, 0); }},
        {"openat2", [] { return ::syscall(SYS_openat2, AT_FDCWD, path, nullptr, 0); }},
        {"unlink", [] { return ::syscall(SYS_unlinkat, AT_FDCWD, "/nonexistent", 0); }},
        {"rename", [] { return ::syscall(SYS_renameat2, AT_FDCWD, "/nonexistent", AT_FDCWD, "/nonexistent2", 0); }},
        {"chmod", [] { return ::syscall(SYS_fchmodat, AT_FDCWD, "/nonexistent", 0600); }},
        {"unix socket", [] { return ::syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0); }},
        {"netlink socket", [] { return ::syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0); }},
        {"packet socket", [] { return ::syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0); }},
        {"listen", [] { return ::syscall(SYS_listen, -1, 1); }},
        {"fork", [] { return ::syscall(SYS_clone, -1L, nullptr, nullptr, nullptr, nullptr); }},
        {"clone3", [] { return ::syscall(SYS_clone3, nullptr, 0); }},
        {"ptrace", [] { return ::syscall(SYS_ptrace, -1, 0, nullptr, nullptr); }},
        {"process_vm_writev", [] { return ::syscall(SYS_process_vm_writev, 0, nullptr, 0, nullptr, 0, 0); }},
        {"process_vm_readv", [] { return ::syscall(SYS_process_vm_readv, 0, nullptr, 0, nullptr, 0, 0); }},
        {"pidfd_open", [] { return ::syscall(SYS_pidfd_open, 0, 0); }},
        {"pidfd_getfd", [] { return ::syscall(SYS_pidfd_getfd, -1, -1, 0); }},
        {"mount", [] { return ::syscall(SYS_mount, nullptr, "/nonexistent", nullptr, 0, nullptr); }},
        {"unshare", [] { return ::syscall(SYS_unshare, 0); }},
        {"setns", [] { return ::syscall(SYS_setns, -1, 0); }},
        {"chroot", [] { return ::syscall(SYS_chroot, "/nonexistent"); }},
        {"bpf", [] { return ::syscall(SYS_bpf, -1, nullptr, 0); }},
        {"perf_event_open", [] { return ::syscall(SYS_perf_event_open, nullptr, 0, 0, -1, 0); }},
        {"keyctl", [] { return ::syscall(SYS_keyctl, -1, 0, 0, 0, 0); }},
        {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, -1); }},
        {"memfd_create", [] { return ::syscall(SYS_memfd_create, nullptr, 0); }},
        // Its operations pass by every filter.
        {"io_uring_setup", [] { return ::syscall(SYS_io_uring_setup, 0, nullptr); }},
        {"io_uring_enter", [] { return ::syscall(SYS_io_uring_enter, -1, 0, 0, 0, nullptr, 0); }},
        {"setuid", [] { return ::syscall(SYS_setuid, ::getuid()); }},
        {"capset", [] { return ::syscall(SYS_capset, nullptr, nullptr); }},
        {"prctl", [] { return ::syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0); }},
        {"kill another process", [] { return ::syscall(SYS_kill, ::getppid(), 0); }},
        {"kill a group", [] { return ::syscall(SYS_kill, -::getppid(), 0); }},
        {"tgkill another process", [] { return ::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0); }},
        {"memory to execute",
         [] { return ::syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
        {"memory made executable", [] { return ::syscall(SYS_mprotect, nullptr, 0, PROT_READ | PROT_EXEC); }},
        {"input for a terminal", [] { return ::syscall(SYS_ioctl, -1, TIOCSTI, nullptr); }},
        {"FIOSETOWN", [] { return ::syscall(SYS_ioctl, -1, FIOSETOWN, nullptr); }},
        {"SIOCSPGRP", [] { return ::syscall(SYS_ioctl, -1, SIOCSPGRP, nullptr); }},
        {"an address for an interface", [] { return ::syscall(SYS_ioctl, -1, SIOCSIFADDR, nullptr); }},
        {"a route", [] { return ::syscall(SYS_ioctl, -1, SIOCADDRT, nullptr); }},
        {"a signal by FIOASYNC", [] { return ::syscall(SYS_ioctl, -1, FIOASYNC, nullptr); }},
        {"a signal by O_ASYNC", [] { return ::syscall(SYS_fcntl, -1, F_SETFL, O_NONBLOCK | O_ASYNC); }},
        {"whom to send a signal", [] { return ::syscall(SYS_fcntl, -1, F_SETOWN, ::getpid()); }},
        {"which signal", [] { return ::syscall(SYS_fcntl, -1, F_SETSIG, 9); }},
        {"copy of a descriptor", [] { return ::syscall(SYS_fcntl, STDERR_FILENO, F_DUPFD_CLOEXEC, 3); }},
        {"dup", [] { return ::syscall(SYS_dup, STDERR_FILENO); }},
        {"execve of x32", [] { return ::syscall(x32 + SYS_execve, "/nonexistent", nullptr, nullptr); }},
    };
}

/// Makes the calls and tells which of them are not refused.
std::vector<std::string> not_refused(const std::vector<Call>& calls) {
    std::vector<std::string> names;
    for (const Call& call : calls) {
        errno = 0;
        if (call.make() != -1 || errno != EPERM) {
            names.emplace_back(call.name);
        }
    }
    return names;
}

/// A field of a thread's status ("Seccomp").
std::string field_of(pid_t thread, const std::string& name) {
    std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(name + ":\t")) {
            return line.substr(name.size() + 2);
        }
    }
    return "";
}

TEST(Sandbox, RefusesWhatReachesOutOfTheProcess) {
    std::vector<std::string> stream;
    std::vector<std::string> ucx;
    confined(Sandbox::on, LoadingWay::stream, [&] { stream = not_refused(forbidden_calls()); });
    confined(Sandbox::on, LoadingWay::ucx, [&] { ucx = not_refused(forbidden_calls()); });
    EXPECT_EQ(stream, std::vector<std::string>());
    EXPECT_EQ(ucx, std::vector<std::string>{"open to read"});
}

TEST(Sandbox, OnlyUcxConnects) {
    const std::vector<Call> calls{
        {"socket", [] { return ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); }},
        {"connect", [] { return ::syscall(SYS_connect, -1, nullptr, 0); }},
        {"flags of an interface", [] { return ::syscall(SYS_ioctl, -1, SIOCGIFFLAGS, nullptr); }},
        {"MTU of an interface", [] { return ::syscall(SYS_ioctl, -1, SIOCGIFMTU, nullptr); }},
        {"speed of an interface", [] { return ::syscall(SYS_ioctl, -1, SIOCETHTOOL, nullptr); }}};
    std::vector<std::string> stream;
    std::vector<std::string> ucx;
    confined(Sandbox::on, LoadingWay::stream, [&] { stream = not_refused(calls); });
    confined(Sandbox::on, LoadingWay::ucx, [&] { ucx = not_refused(calls); });
    EXPECT_EQ(stream, std::vector<std::string>());
    EXPECT_EQ(ucx, (std::vector<std::string>{"socket", "connect", "flags of an interface", "MTU of an interface",
                                             "speed of an interface"}));
}

TEST(Sandbox, LeavesWhatLoadingNeeds) {
    const FileDescriptor file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid());
    const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    std::mutex mutex;
    std::condition_variable changed;
    bool answered = false;
    std::promise<void> asked;
    std::thread other([&] {
        asked.get_future().wait();
        const std::lock_guard lock(mutex);
        answered = true;
        changed.notify_one();
    });
    confined(Sandbox::on, LoadingWay::stream, [&] {
        constexpr off_t bytes = 1 << 20;
        const std::vector<char> data(bytes, 'x');  // more than the heap has: a mapping
        EXPECT_EQ(::pwrite(file.get(), data.data(), data.size(), 0), bytes);
        EXPECT_EQ(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
        EXPECT_EQ(::fdatasync(file.get()), 0);
        int queued = -1;
        EXPECT_EQ(::fcntl(socket.get(), F_SETFL, O_NONBLOCK), 0);
        EXPECT_TRUE(::ioctl(socket.get(), SIOCOUTQ, &queued) == 0 || errno != EPERM);
        struct flock lock {};
        lock.l_type = F_RDLCK;
        lock.l_len = 1;
        EXPECT_EQ(::fcntl(file.get(), F_OFD_SETLK, &lock), 0);
        asked.set_value();
        std::unique_lock waiting(mutex);
        changed.wait(waiting, [&] { return answered; });
    });
    other.join();
    EXPECT_TRUE(answered);
}

TEST(Sandbox, ConfinesOneThreadAndWhatThatStarts) {
    const std::string before = field_of(::gettid(), "Seccomp_filters");
    confined(Sandbox::on, LoadingWay::stream,
             [] { EXPECT_THROW(std::thread([] {}), std::system_error) << "it cannot start any"; });
    EXPECT_EQ(field_of(::gettid(), "Seccomp_filters"), before);
    EXPECT_TRUE(FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)).valid());
}

TEST(Sandbox, TheThreadHasNoPrivileges) {
    const std::string privileges = field_of(::gettid(), "NoNewPrivs");
    std::promise<pid_t> ready;
    std::promise<void> seen;
    std::thread thread([&] {
        ASSERT_TRUE(confine_loading_thread(Sandbox::on, LoadingWay::stream));
        ready.set_value(::gettid());
        seen.get_future().wait();
    });
    const pid_t id = ready.get_future().get();
    EXPECT_EQ(field_of(id, "Seccomp"), "2");
    EXPECT_EQ(field_of(id, "NoNewPrivs"), "1");
    for (const char* set : {"CapEff", "CapPrm", "CapInh", "CapAmb"}) {
        EXPECT_EQ(field_of(id, set), "0000000000000000") << set;
    }
    EXPECT_EQ(field_of(::gettid(), "NoNewPrivs"), privileges) << "the other threads start commands";
    seen.set_value();
    thread.join();
}

TEST(Sandbox, OffConfinesNothingAndLogRefusesNothing) {
    const std::vector<Call> open{
        {"open", [] { return ::syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0); }}};
    for (const Sandbox sandbox : {Sandbox::off, Sandbox::log}) {
        std::vector<std::string> carried_out;
        std::string filter;
        confined(sandbox, LoadingWay::stream, [&] {
            carried_out = not_refused(open);
            filter = field_of(::gettid(), "Seccomp");
        });
        EXPECT_EQ(carried_out, std::vector<std::string>{"open"});
        EXPECT_EQ(filter, sandbox == Sandbox::log ? "2" : field_of(::gettid(), "Seccomp"));
    }
}

TEST(Sandbox, IsParsed) {
    EXPECT_EQ(parse_sandbox("on"), Sandbox::on);
    EXPECT_EQ(parse_sandbox("log"), Sandbox::log);
    EXPECT_EQ(parse_sandbox("off"), Sandbox::off);
    EXPECT_EQ(parse_sandbox("yes").error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace godwit
