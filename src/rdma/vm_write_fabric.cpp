#include "rdma/vm_write_fabric.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "base/assert.h"
#include "io/channel_errors.h"
#include "io/file_descriptor.h"
#include "io/system_error.h"
#include "rdma/payload.h"

namespace godwit::rdma {
namespace {

constexpr std::uint32_t magic = 0x474d5650;  // "GMVP"
constexpr const char* permission_hint =
    "run both sides as the same user and see that kernel.yama.ptrace_scope allows it, or use tcp: on both sides";

/// When a process was started, in the kernel's ticks: with the number it names a process for good.
std::optional<std::uint64_t> start_time(std::uint32_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) {
        return std::nullopt;
    }
    std::istringstream fields(text.substr(name_end + 1));
    std::string field;
    constexpr int start_time_field = 20;  // counted from behind the name; proc(5): field 22
    for (int i = 0; i < start_time_field; ++i) {
        fields >> field;
    }
    std::uint64_t ticks = 0;
    return fields && std::istringstream(field) >> ticks ? std::optional(ticks) : std::nullopt;
}

using Secret = std::array<std::byte, 32>;

tl::unexpected<Error> fail_gone() {
    return fail(ErrorCode::peer_closed, "the destination's process has ended", "look at its messages for the reason");
}

struct Region {
    std::uint64_t begin = 0;
    std::uint64_t bytes = 0;
};

class Registered : public RegisteredMemory {
public:
    explicit Registered(const Region& region) {
        PayloadWriter writer(key_);
        writer.put(magic);
        writer.put(region.begin);
        writer.put(region.bytes);
    }
    ConstBuffer key() const override { return key_; }

private:
    std::vector<std::byte> key_;
};

class Remote : public RemoteMemory {
public:
    explicit Remote(const Region& region) : region_(region) {}
    bool holds(RemoteAddress to, std::size_t bytes) const {
        return to.value >= region_.begin && bytes <= region_.bytes && to.value - region_.begin <= region_.bytes - bytes;
    }

private:
    Region region_;
};

class VmWriteFabric : public Fabric {
public:
    VmWriteFabric(FileDescriptor event, const Secret& secret)
        : event_(std::move(event)), secret_(std::make_unique<const Secret>(secret)) {
        const auto self = static_cast<std::uint32_t>(::getpid());
        PayloadWriter writer(address_);
        writer.put(magic);
        writer.put(self);
        writer.put(start_time(self).value_or(0));
        writer.put(reinterpret_cast<std::uint64_t>(secret_.get()));
        writer.put_bytes(*secret_);
    }

    ConstBuffer address() const override { return address_; }
    Status connect(ConstBuffer peer) override;

    Result<std::unique_ptr<RegisteredMemory>> register_memory(MutableBuffer memory) override {
        return std::make_unique<Registered>(Region{reinterpret_cast<std::uint64_t>(memory.data()), memory.size()});
    }
    Result<std::unique_ptr<RemoteMemory>> open_key(ConstBuffer key) override;
    Status start_write(ConstBuffer from, RemoteAddress to, const RemoteMemory& memory, WriteId id) override;
    /// A write that has returned is in the peer's memory.
    Status start_flush(WriteId id) override {
        finished_.push_back(id);
        return {};
    }
    Result<bool> progress(std::vector<WriteId>& finished) override {
        finished.insert(finished.end(), finished_.begin(), finished_.end());
        return !std::exchange(finished_, {}).empty();
    }
    int descriptor() const override { return event_.get(); }
    bool arm() override { return finished_.empty(); }

private:
    static Status check_secret(pid_t process, RemoteAddress place, ConstBuffer expected);
    Status write(ConstBuffer from, RemoteAddress to);
    bool peer_is_gone() const;

    const FileDescriptor event_;  // never readable: nothing happens by itself
    /// A source reads it here before it writes anything: only who has told the address can have put it there.
    const std::unique_ptr<const Secret> secret_;
    std::vector<std::byte> address_;
    pid_t peer_ = 0;
    FileDescriptor peer_process_;
    std::vector<WriteId> finished_;
};

Status VmWriteFabric::connect(ConstBuffer peer) {
    GODWIT_ASSERT(peer_ == 0, "a fabric connects once");
    PayloadReader reader(peer);
    const auto mark = reader.get<std::uint32_t>();
    const auto pid = reader.get<std::uint32_t>();
    const auto started = reader.get<std::uint64_t>();
    const auto place = reader.get<std::uint64_t>();
    const ConstBuffer secret = reader.get_bytes(sizeof(Secret));
    if (!reader.complete() || mark != magic || pid == 0 || static_cast<pid_t>(pid) == ::getpid()) {
        return fail(ErrorCode::stream_corrupt, "the destination's address in shared memory makes no sense");
    }
    peer_process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!peer_process_.valid() || start_time(pid) != started) {
        return fail(ErrorCode::io, fmt::format("the destination's process {} cannot be found on this host", pid),
                    "both sides must see the same processes; otherwise use tcp: on both sides");
    }
    if (Status proven = check_secret(static_cast<pid_t>(pid), RemoteAddress{place}, secret); !proven) {
        return proven;
    }
    peer_ = static_cast<pid_t>(pid);
    return {};
}

/// A peer could name any process, and have guest memory written over it.
Status VmWriteFabric::check_secret(pid_t process, RemoteAddress place, ConstBuffer expected) {
    Secret found{};
    const iovec local{found.data(), found.size()};
    const iovec remote{reinterpret_cast<void*>(place.value), found.size()};  // NOLINT
    const ssize_t got = ::process_vm_readv(process, &local, 1, &remote, 1, 0);
    if (got < 0 && errno == EPERM) {
        return fail_errno(ErrorCode::io, "the destination's process may not be written to", EPERM, permission_hint);
    }
    if (got != static_cast<ssize_t>(found.size()) || !std::ranges::equal(found, expected)) {
        return fail(ErrorCode::stream_corrupt, fmt::format("process {} is not the destination", process));
    }
    return {};
}

Result<std::unique_ptr<RemoteMemory>> VmWriteFabric::open_key(ConstBuffer key) {
    PayloadReader reader(key);
    const auto mark = reader.get<std::uint32_t>();
    Region region;
    region.begin = reader.get<std::uint64_t>();
    region.bytes = reader.get<std::uint64_t>();
    if (!reader.complete() || mark != magic || region.begin + region.bytes < region.begin) {
        return fail(ErrorCode::stream_corrupt, "the destination's key of shared memory makes no sense");
    }
    return std::make_unique<Remote>(region);
}

Status VmWriteFabric::start_write(ConstBuffer from, RemoteAddress to, const RemoteMemory& memory, WriteId id) {
    GODWIT_ASSERT(peer_ != 0, "a write needs a connection");
    if (!static_cast<const Remote&>(memory).holds(to, from.size())) {
        return fail(ErrorCode::io, fmt::format("{} bytes at 0x{:x} are not in the memory that the destination has "
                                               "registered",
                                               from.size(), to.value));
    }
    if (Status written = write(from, to); !written) {
        return written;
    }
    finished_.push_back(id);
    return {};
}

/// Its number could be another process's soon.
bool VmWriteFabric::peer_is_gone() const {
    pollfd process{.fd = peer_process_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&process, 1, 0) != 0;
}

Status VmWriteFabric::write(ConstBuffer from, RemoteAddress to) {
    while (!from.empty()) {
        if (peer_is_gone()) {
            return fail_gone();
        }
        const iovec local{const_cast<std::byte*>(from.data()), from.size()};  // NOLINT: it is only read
        const iovec remote{reinterpret_cast<void*>(to.value), from.size()};   // NOLINT
        const ssize_t written = ::process_vm_writev(peer_, &local, 1, &remote, 1, 0);
        if (written <= 0) {
            const int error = written < 0 ? errno : EFAULT;
            if (error == ESRCH) {
                return fail_gone();
            }
            return fail_transfer("write", "the memory of the destination's process", error,
                                 error == EPERM ? permission_hint : "");
        }
        from = from.subspan(static_cast<std::size_t>(written));
        to = to + static_cast<std::uint64_t>(written);
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Fabric>> make_vm_write_fabric() {
    FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.valid()) {
        return fail_errno(ErrorCode::io, "cannot make an event descriptor", errno);
    }
    Secret secret{};
    if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
        return fail_errno(ErrorCode::io, "cannot get random numbers", errno);
    }
    return std::make_unique<VmWriteFabric>(std::move(event), secret);
}

}  // namespace godwit::rdma
