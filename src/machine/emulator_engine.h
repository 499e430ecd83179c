#pragma once

#include <unicorn/unicorn.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/error.h"
#include "godwit/units.h"
#include "machine/emulator_code.h"
#include "machine/emulator_memory.h"
#include "machine/guest_buses.h"
#include "machine/guest_request.h"
#include "machine/page_marks.h"

namespace godwit {

/// An error (`vcpu`) of Unicorn's.
Status emulator_failure(const char* what, uc_err error);

/// An instance of Unicorn: translated code and a CPU. Costs half a millisecond to make, and is made anew when memory
/// has become another one. Where a device has written over code, the translations of that page are forgotten.
///
/// It stops between two blocks of code only: Unicorn's call that stops from elsewhere may stop in the middle of one,
/// with the registers of its beginning. So it is asked before each block whether to stop. One thread at a time.
class EmulatorEngine {
public:
    /// How a run has ended.
    enum class End {
        stopped,  ///< as `stop` wanted
        halted,   ///< after HLT
        request,  ///< `request()` says what the guest asked for, or what it did that cannot be emulated
    };

    /// Not yet usable. `stop` and `memory` outlive it. With `code`, which has nothing noted yet, it follows what others
    /// write over code.
    EmulatorEngine(const std::atomic<bool>& stop, const std::vector<EmulatorMemory>& memory, EmulatorCode* code);
    ~EmulatorEngine();
    EmulatorEngine(const EmulatorEngine&) = delete;
    EmulatorEngine& operator=(const EmulatorEngine&) = delete;

    /// Errors: `vcpu`.
    Status open();
    /// Shows everything that is not memory as devices. After `open`, once the segments are loaded, since what these
    /// need for a moment lies there. Errors: `vcpu`.
    Status map_devices();

    /// From the next run on it tells there, in one for each block, which pages the CPU writes to; null: nowhere.
    /// Between runs. Errors: `vcpu`, never for null; then all is as before.
    Status set_marks(BlockMarks* marks);

    /// For registers.
    uc_engine* handle() const { return uc_; }

    /// Runs from the present instruction until `stop`.
    End run(const GuestBuses& buses);
    const GuestRequest& request() const { return *request_; }
    /// Whether the last run came to a HLT, perhaps after a request.
    bool has_halted() const { return halted_; }

private:
    struct Hooks;

    Status add_hooks();
    void fail_cpu(std::string what);
    /// Fails the CPU in a mode that is not emulated.
    void check_mode();
    bool refuse_controller(GuestAddress address);
    /// The hook comes before the write, and a mark has to come after it: else a page could be sent in between.
    void mark_written();
    void mark(std::uint64_t address);
    /// Code from `first` to `last` is about to run; whether it may run as it is translated.
    bool is_current(std::uint64_t first, std::uint64_t last) {
        if (code_ != nullptr && (first / page_bytes != noted_page_ || last / page_bytes != noted_page_)) {
            note_code(first, last);
        }
        return code_ == nullptr || !code_->is_stale();
    }
    void note_code(std::uint64_t first, std::uint64_t last);
    void forget_stale_code();
    /// Looks at the last instruction of a block before it runs.
    void look_at_end(std::uint64_t end);
    /// Goes on until something stops it. Errors: Unicorn's.
    uc_err start();
    std::uint32_t instruction_pointer() const;
    /// Between RAM and the firmware there is no memory, but devices.
    std::uint64_t devices_start() const;
    std::uint64_t devices_end() const;
    GuestAddress device_address(std::uint64_t offset) const;

    const std::atomic<bool>& stop_;
    const std::vector<EmulatorMemory>& memory_;
    EmulatorCode* const code_;
    uc_engine* uc_ = nullptr;
    BlockMarks* marks_ = nullptr;
    /// There while `marks_` is.
    std::optional<uc_hook> write_hook_;
    /// Inside `run` only.
    const GuestBuses* buses_ = nullptr;
    bool stopped_ = false;
    bool halted_ = false;
    /// It stops to forget code, and goes on.
    bool forgetting_ = false;
    /// The block that runs writes to CR0.
    bool changes_mode_ = false;
    /// Of guest addresses: the last one on which code was noted, since most blocks follow one of the same page.
    std::uint64_t noted_page_ = ~std::uint64_t{0};
    std::optional<GuestRequest> request_;
    /// Addresses of the last write that is not marked yet.
    struct Written {
        std::uint64_t first = 0;
        std::uint64_t last = 0;
    };
    std::optional<Written> written_;
};

}  // namespace godwit
