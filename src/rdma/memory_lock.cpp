#include "rdma/memory_lock.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "base/format_bytes.h"
#include "io/system_error.h"
#include "rdma/host_memory.h"

namespace godwit::rdma {
namespace {

/// Some tens of milliseconds of work.
constexpr std::size_t step_bytes = 64 << 20;
/// What is left to the host.
constexpr ByteCount reserve(256 << 20);

bool may_lock_everything() {
    // libcap would be a library for one bit.
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
    if (::syscall(SYS_capget, &header, data.data()) != 0) {
        return false;
    }
    return (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

ByteCount size_of(const std::vector<MutableBuffer>& pieces) {
    ByteCount sum;
    for (const MutableBuffer& piece : pieces) {
        sum += ByteCount(piece.size());
    }
    return sum;
}

std::string text_of(ByteCount bytes) {
    return format_bytes(static_cast<double>(bytes.value()));
}

std::string hint_for(ByteCount needed, std::optional<ByteCount> limit) {
    constexpr const char* raise = "raise the limit (`ulimit -l`, or LimitMEMLOCK= of a systemd unit)";
    if (!limit) {
        return "free memory on this host, or do without rdma-pin-all";
    }
    if (*limit < needed) {
        return fmt::format("{}, give the program CAP_IPC_LOCK, or do without rdma-pin-all", raise);
    }
    return fmt::format(
        "if this process keeps other memory locked, {} by that much; else free memory on this host, or "
        "do without rdma-pin-all",
        raise);
}

Error cannot_pin(ByteCount needed, int error) {
    const auto limit = pin_limit();
    Error result{.code = ErrorCode::cannot_pin, .message = {}, .hint = hint_for(needed, limit)};
    result.message = fmt::format("cannot keep {} ({} bytes) of memory in RAM: {}", text_of(needed), needed.value(),
                                 errno_text(error));
    if (limit) {
        result.message += fmt::format("; this process may lock {} ({} bytes) in all", text_of(*limit), limit->value());
    }
    return result;
}

/// A host, or a control group, that runs out of memory kills somebody, maybe the guest.
Status check_host(ByteCount missing, ByteCount needed) {
    const std::optional<ByteCount> available = available_memory();
    if (!available || missing.value() == 0 || missing + reserve <= *available) {
        return {};
    }
    return fail(
        ErrorCode::cannot_pin,
        fmt::format("cannot keep {} ({} bytes) of memory in RAM: {} of it are not there yet, and this host has {} "
                    "left",
                    text_of(needed), needed.value(), text_of(missing), text_of(*available)),
        "free memory on this host, or do without rdma-pin-all");
}

class LockedMemory : public MemoryLock {
public:
    ~LockedMemory() override {
        for (const MutableBuffer& piece : locked_) {
            // It can fail only where the memory is no longer mapped, and then it is no longer locked.
            ::munlock(piece.data(), piece.size());
        }
    }
    LockedMemory() = default;
    LockedMemory(const LockedMemory&) = delete;
    LockedMemory& operator=(const LockedMemory&) = delete;

    /// `needed` is for messages.
    Status lock(MutableBuffer memory, ByteCount needed, const std::function<Status()>& go_on) {
        while (!memory.empty()) {
            const MutableBuffer step = memory.first(std::min(memory.size(), step_bytes));
            memory = memory.subspan(step.size());
            if (Status enough = check_host(not_resident(step), needed); !enough) {
                return enough;
            }
            // First, because mlock that fails half-way leaves what it has done.
            locked_.push_back(step);
            if (::mlock(step.data(), step.size()) != 0) {
                return fail(cannot_pin(needed, errno));
            }
            if (Status wanted = go_on(); !wanted) {
                return wanted;
            }
        }
        return {};
    }

private:
    std::vector<MutableBuffer> locked_;
};

}  // namespace

Result<std::unique_ptr<MemoryLock>> MemoryLock::lock(const std::vector<MutableBuffer>& pieces,
                                                     const std::function<Status()>& go_on) {
    const ByteCount needed = size_of(pieces);
    ByteCount missing;
    // First for all of it, so that nothing is begun in vain; then step by step, for others need memory too.
    for (const MutableBuffer& piece : pieces) {
        missing += not_resident(piece);
    }
    if (Status enough = check_host(missing, needed); !enough) {
        return fail(enough.error());
    }
    auto memory = std::make_unique<LockedMemory>();
    for (const MutableBuffer& piece : pieces) {
        if (Status locked = memory->lock(piece, needed, go_on); !locked) {
            return fail(locked.error());  // what is locked by now ends with `memory`
        }
    }
    return memory;
}

std::optional<ByteCount> pin_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || may_lock_everything()) {
        return {};
    }
    return ByteCount(limit.rlim_cur);
}

}  // namespace godwit::rdma
