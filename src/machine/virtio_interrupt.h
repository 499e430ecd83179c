#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace godwit {

/// Why a virtio device interrupts, and the line that says so. Any thread.
class VirtioInterrupt {
public:
    /// `set_line` is called by any thread, never twice with the same level except by `set`.
    explicit VirtioInterrupt(std::function<void(bool)> set_line) : set_line_(std::move(set_line)) {}

    void raise(std::uint32_t reasons) { change(reasons, 0); }
    void acknowledge(std::uint32_t reasons) { change(0, reasons); }
    std::uint32_t reasons() const {
        const std::lock_guard lock(mutex_);
        return reasons_;
    }
    /// After a load or a reset: the line follows whatever it was.
    void set(std::uint32_t reasons) {
        const std::lock_guard lock(mutex_);
        reasons_ = reasons;
        set_line_(reasons != 0);
    }

private:
    void change(std::uint32_t added, std::uint32_t removed) {
        const std::lock_guard lock(mutex_);
        const bool before = reasons_ != 0;
        reasons_ = (reasons_ & ~removed) | added;
        if ((reasons_ != 0) != before) {
            set_line_(!before);
        }
    }

    const std::function<void(bool)> set_line_;
    mutable std::mutex mutex_;
    std::uint32_t reasons_ = 0;  ///< under mutex_
};

}  // namespace godwit
