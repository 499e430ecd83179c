#include "cli/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <memory>
#include <span>

#include "godwit/direct_pages.h"
#include "io/system_error.h"
#include "machine/kvm_api.h"

namespace godwit {

namespace {

constexpr const char* sandbox_hint = "--sandbox off does without";

/// Calls that are allowed whatever their arguments. None of them gives the thread a new descriptor to something outside
/// of the process, or reaches another process.
constexpr int allowed[] = {
    // Descriptors that there are: channels, images, the trace, wake-ups of other threads.
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(write),
    SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl), SCMP_SYS(close), SCMP_SYS(shutdown), SCMP_SYS(lseek), SCMP_SYS(getsockname),
    SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(eventfd2),
    // Images.
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fstatfs), SCMP_SYS(fallocate), SCMP_SYS(ftruncate), SCMP_SYS(fsync),
    SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(fadvise64),
    // Memory; mmap and mprotect have a rule of their own.
    SCMP_SYS(munmap), SCMP_SYS(munlock), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mincore), SCMP_SYS(brk),
    // Threads and time.
    SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(rt_sigpending),
    SCMP_SYS(sigaltstack), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    // Questions about this process, and the end of the command of `exec:`.
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getrandom), SCMP_SYS(uname),
    SCMP_SYS(sysinfo), SCMP_SYS(waitid)};

/// The second byte of an ioctl's number: whose it is.
constexpr unsigned ioctl_type_shift = 8;
constexpr unsigned ioctl_type_mask = 0xff00;
constexpr unsigned verbs_ioctl_type = 0x1b;
/// What UCX asks an interface for: how fast it is, of what kind, and what it carries at once (1.13 asks that of lo),
/// and whether it is up and its addresses. None of them sets anything; of SIOCETHTOOL's commands those that do need a
/// capability, which the thread has not.
constexpr unsigned interface_questions[] = {SIOCETHTOOL,  SIOCGIFHWADDR, SIOCGIFMTU,
                                            SIOCGIFFLAGS, SIOCGIFADDR,   SIOCGIFNETMASK};

/// A filter that is being made. The first error sticks.
class Filter {
public:
    explicit Filter(std::uint32_t default_action) : context_(::seccomp_init(default_action)) {
        error_ = context_ ? 0 : ENOMEM;
    }

    void set(scmp_filter_attr attribute, std::uint32_t value) {
        note(error_ != 0 ? 0 : ::seccomp_attr_set(context_.get(), attribute, value));
    }
    /// Allows a call whose arguments pass all of the comparisons.
    void allow(int call, std::initializer_list<scmp_arg_cmp> comparisons = {}) {
        note(error_ != 0 ? 0
                         : ::seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, call,
                                                    static_cast<unsigned>(comparisons.size()), comparisons.begin()));
    }
    /// For the calling thread. An errno value, or 0.
    int load() {
        note(error_ != 0 ? 0 : ::seccomp_load(context_.get()));
        return error_;
    }

private:
    struct Release {
        void operator()(void* context) const { ::seccomp_release(context); }
    };
    void note(int outcome) {
        if (outcome < 0) {
            error_ = -outcome;
        }
    }

    std::unique_ptr<void, Release> context_;
    int error_ = 0;
};

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, 0xffff'ffff, value};
}

scmp_arg_cmp has_no(unsigned argument, std::uint64_t bits) {
    return {argument, SCMP_CMP_MASKED_EQ, bits, 0};
}

void allow_ioctls_of(Filter& filter, unsigned type) {
    filter.allow(SCMP_SYS(ioctl), {{1, SCMP_CMP_MASKED_EQ, ioctl_type_mask, type << ioctl_type_shift}});
}

void allow_ioctl(Filter& filter, unsigned request) {
    filter.allow(SCMP_SYS(ioctl), {equals(1, request)});
}

/// What is allowed depending on its arguments.
void add_conditions(Filter& filter) {
    // No new code.
    filter.allow(SCMP_SYS(mmap), {has_no(2, PROT_EXEC)});
    filter.allow(SCMP_SYS(mprotect), {has_no(2, PROT_EXEC)});
    // Locks of images. Not F_SETOWN or F_NOTIFY, nor copies of descriptors.
    for (const int command : {F_GETFD, F_GETFL, F_OFD_SETLK, F_OFD_GETLK}) {
        filter.allow(SCMP_SYS(fcntl), {equals(1, static_cast<std::uint64_t>(command))});
    }
    // A descriptor may have a signal sent whenever there is something to read, to whom was named for that.
    filter.allow(SCMP_SYS(fcntl), {equals(1, F_SETFL), has_no(2, O_ASYNC)});
    // How much of what was sent has not arrived.
    for (const int request : {SIOCOUTQ, FIONREAD}) {
        allow_ioctl(filter, static_cast<unsigned>(request));
    }
    // The states of virtual CPUs and the devices of KVM.
    allow_ioctls_of(filter, KVMIO);
    // Signals to this process: an assertion that fails, and virtual CPUs that are to stop.
    const auto self = static_cast<std::uint64_t>(::getpid());
    filter.allow(SCMP_SYS(kill), {equals(0, self)});
    filter.allow(SCMP_SYS(tgkill), {equals(0, self)});
}

void add_needs_of_ucx(Filter& filter) {
    // Its endpoint over tcp answers the source's by a connection of its own.
    for (const int family : {AF_INET, AF_INET6}) {
        filter.allow(SCMP_SYS(socket), {equals(0, static_cast<std::uint64_t>(family))});
    }
    for (const int call : {SCMP_SYS(connect), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(setsockopt), SCMP_SYS(bind),
                           SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime)}) {
        filter.allow(call);
    }
    allow_ioctls_of(filter, verbs_ioctl_type);
    // It asks for the interface's properties, and reads the routes and what /sys tells of a device.
    for (const unsigned question : interface_questions) {
        allow_ioctl(filter, question);
    }
    filter.allow(SCMP_SYS(prlimit64), {{2, SCMP_CMP_EQ, 0, 0}});  // a limit is asked for, not set
    filter.allow(SCMP_SYS(openat), {has_no(2, O_ACCMODE | O_CREAT | O_TRUNC)});
}

Status load_filter(Sandbox sandbox, LoadingWay way) {
    Filter filter(sandbox == Sandbox::log ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM));
    // Also for other calls' numbers, those of 32 bits or of x32, nothing is killed.
    filter.set(SCMP_FLTATR_ACT_BADARCH, sandbox == Sandbox::log ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM));
    filter.set(SCMP_FLTATR_CTL_LOG, 1);
    filter.set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree of comparisons instead of a list
    for (const int call : allowed) {
        filter.allow(call);
    }
    add_conditions(filter);
    if (way == LoadingWay::ucx) {
        add_needs_of_ucx(filter);
    }
    if (const int error = filter.load(); error != 0) {
        return fail_errno(ErrorCode::unsupported, "the loading thread cannot have a filter for system calls", error,
                          sandbox_hint);
    }
    return {};
}

/// Of the calling thread. What pins memory for a device to write to it may need CAP_IPC_LOCK; nothing else is needed.
Status drop_capabilities(LoadingWay way) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    if (::syscall(SYS_capget, &header, sets.data()) != 0) {
        return fail_errno(ErrorCode::unsupported, "the loading thread's capabilities cannot be read", errno,
                          sandbox_hint);
    }
    const std::uint32_t kept = way == LoadingWay::stream ? 0 : std::uint32_t{1} << CAP_IPC_LOCK;
    for (__user_cap_data_struct& set : sets) {
        const std::uint32_t left = &set == sets.data() ? set.permitted & kept : 0;
        set = {.effective = left & set.effective, .permitted = left, .inheritable = 0};
    }
    if (::syscall(SYS_capset, &header, sets.data()) != 0) {
        return fail_errno(ErrorCode::unsupported, "the loading thread cannot drop its capabilities", errno,
                          sandbox_hint);
    }
    return {};
}

}  // namespace

LoadingWay loading_way(Channel& channel) {
    const DirectPageReceiver* direct = channel.direct_page_receiver();
    return direct == nullptr || direct->figures().transport == "shm" ? LoadingWay::stream : LoadingWay::ucx;
}

Result<Sandbox> parse_sandbox(std::string_view text) {
    if (text == "off") {
        return Sandbox::off;
    }
    if (text == "log") {
        return Sandbox::log;
    }
    if (text == "on") {
        return Sandbox::on;
    }
    return fail(ErrorCode::invalid_argument, fmt::format("--sandbox takes on, log or off, not '{}'", text));
}

Status confine_loading_thread(Sandbox sandbox, LoadingWay way) {
    if (sandbox == Sandbox::off) {
        return {};
    }
    // Times of log lines: what they need is read once.
    ::tzset();
    // The other threads keep it: a command of `exec:` may need a program that gets privileges from its file.
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return fail_errno(ErrorCode::unsupported, "the loading thread cannot give up new privileges", errno,
                          sandbox_hint);
    }
    if (Status dropped = drop_capabilities(way); !dropped) {
        return dropped;
    }
    return load_filter(sandbox, way);
}

}  // namespace godwit
