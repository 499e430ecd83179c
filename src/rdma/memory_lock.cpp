#include "rdma/memory_lock.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/format_bytes.h"
#include "io/system_error.h"

namespace godwit::rdma {
namespace {

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

    /// Returns 0, or the errno value of the piece that could not be locked.
    int lock(const std::vector<MutableBuffer>& pieces) {
        for (const MutableBuffer& piece : pieces) {
            if (piece.empty()) {
                continue;
            }
            // First, because mlock that fails half-way leaves what it has done.
            locked_.push_back(piece);
            if (::mlock(piece.data(), piece.size()) != 0) {
                return errno;
            }
        }
        return 0;
    }

private:
    std::vector<MutableBuffer> locked_;
};

}  // namespace

Result<std::unique_ptr<MemoryLock>> MemoryLock::lock(const std::vector<MutableBuffer>& pieces) {
    auto memory = std::make_unique<LockedMemory>();
    if (const int error = memory->lock(pieces); error != 0) {
        // What is locked by now ends with `memory`.
        return fail(cannot_pin(size_of(pieces), error));
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
