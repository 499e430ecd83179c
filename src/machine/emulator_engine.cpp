#include "machine/emulator_engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "machine/emulator_block_end.h"
#include "machine/emulator_interrupts.h"
#include "machine/guest_ram.h"

namespace godwit {

namespace {

constexpr std::uint64_t address_space_end = std::uint64_t{1} << 32;

}  // namespace

EmulatorEngine::EmulatorEngine(const std::atomic<bool>& stop, const std::vector<EmulatorMemory>& memory,
                               EmulatorCode* code)
    : stop_(stop), memory_(memory), code_(code) {}

EmulatorEngine::~EmulatorEngine() {
    if (uc_ != nullptr) {
        uc_close(uc_);
    }
}

Status EmulatorEngine::open() {
    GODWIT_ASSERT(uc_ == nullptr, "the engine is open already");
    if (const uc_err error = uc_open(UC_ARCH_X86, UC_MODE_32, &uc_); error != UC_ERR_OK) {
        uc_ = nullptr;
        return emulator_failure("open", error);
    }
    if (const uc_err error = uc_ctl_set_cpu_model(uc_, UC_CPU_X86_QEMU64); error != UC_ERR_OK) {
        return emulator_failure("CPU model", error);
    }
    for (const EmulatorMemory& memory : memory_) {
        const uc_err error = uc_mem_map_ptr(uc_, memory.where.value(), memory.size.value(), UC_PROT_ALL, memory.host);
        if (error != UC_ERR_OK) {
            return emulator_failure("memory", error);
        }
    }
    return add_hooks();
}

EmulatorEngine::End EmulatorEngine::run(const GuestBuses& buses) {
    buses_ = &buses;
    stopped_ = false;
    request_.reset();
    changes_mode_ = false;
    check_mode();
    const bool ran = !request_;
    const uc_err error = ran ? start() : UC_ERR_OK;
    buses_ = nullptr;
    halted_ = error == UC_ERR_OK && ran && !stopped_;
    if (error != UC_ERR_OK) {
        fail_cpu(uc_strerror(error));
    }
    if (request_) {
        return End::request;
    }
    return halted_ ? End::halted : End::stopped;
}

uc_err EmulatorEngine::start() {
    // No address is there, so nothing but a stop ends it.
    constexpr std::uint64_t until = ~std::uint64_t{0};
    uc_err error = UC_ERR_OK;
    do {
        forget_stale_code();
        forgetting_ = false;
        error = uc_emu_start(uc_, instruction_pointer(), until, 0, 0);
        mark_written();
    } while (forgetting_ && error == UC_ERR_OK);
    return error;
}

void EmulatorEngine::note_code(std::uint64_t first, std::uint64_t last) {
    for (const std::uint64_t address : {first, last}) {
        if (const EmulatorMemory* memory = memory_at(memory_, address)) {
            code_->note(memory->block, memory->page_at(address));
        }
    }
    noted_page_ = last / page_bytes;
}

void EmulatorEngine::forget_stale_code() {
    if (code_ == nullptr) {
        return;
    }
    code_->take_stale([this](std::size_t block, PageNumber page) {
        for (const EmulatorMemory& memory : memory_) {
            const std::uint64_t inside = (page.value() - memory.first_page.value()) * page_bytes;
            if (block == memory.block && page >= memory.first_page && inside < memory.size.value()) {
                const std::uint64_t address = memory.where.value() + inside;
                const uc_err error = uc_ctl_remove_cache(uc_, address, address + page_bytes);
                GODWIT_ASSERT(error == UC_ERR_OK, "translated code at {:#x}: {}", address, uc_strerror(error));
            }
        }
    });
}

void EmulatorEngine::look_at_end(std::uint64_t end) {
    switch (block_end(memory_, end)) {
        case BlockEnd::ordinary:
            break;
        case BlockEnd::writes_cr0:
            changes_mode_ = true;
            break;
        case BlockEnd::writes_dr7:
            // Unicorn would pull the translated code away under the one that is running.
            fail_cpu("the guest sets its breakpoints (debug register 7), which are not emulated");
            break;
    }
}

void EmulatorEngine::fail_cpu(std::string what) {
    if (!request_) {
        request_ = GuestRequest{GuestRequest::Kind::cpu_failure, 0,
                                fmt::format("the emulated CPU: {} at EIP {:#x}", what, instruction_pointer())};
    }
}

void EmulatorEngine::check_mode() {
    constexpr std::uint64_t paging = std::uint64_t{1} << 31;
    constexpr std::uint64_t protection = 1;
    std::uint64_t cr0 = 0;
    uc_reg_read(uc_, UC_X86_REG_CR0, &cr0);
    if ((cr0 & paging) != 0) {
        fail_cpu("the guest switches paging on (perhaps on its way to 64-bit mode), which is not emulated");
    } else if ((cr0 & protection) == 0) {
        fail_cpu("the guest is in real mode, which is not emulated");
    }
}

std::uint32_t EmulatorEngine::instruction_pointer() const {
    std::uint32_t address = 0;
    uc_reg_read(uc_, UC_X86_REG_EIP, &address);
    return address;
}

std::uint64_t EmulatorEngine::devices_start() const {
    std::uint64_t end = 0;
    for (const EmulatorMemory& memory : memory_) {
        if (memory.where < low_ram_end) {
            end = std::max(end, memory.where.value() + memory.size.value());
        }
    }
    return end;
}

std::uint64_t EmulatorEngine::devices_end() const {
    std::uint64_t start = address_space_end;
    for (const EmulatorMemory& memory : memory_) {
        if (memory.where >= low_ram_end) {
            start = std::min(start, memory.where.value());
        }
    }
    return start;
}

GuestAddress EmulatorEngine::device_address(std::uint64_t offset) const {
    return GuestAddress(devices_start() + offset);
}

bool EmulatorEngine::refuse_controller(GuestAddress address) {
    if (!is_interrupt_controller(address)) {
        return false;
    }
    fail_cpu(
        fmt::format("the guest uses its interrupt controller (address {:#x}), which is not emulated", address.value()));
    return true;
}

Status emulator_failure(const char* what, uc_err error) {
    return fail(ErrorCode::vcpu, fmt::format("the emulator failed: {}: {}", what, uc_strerror(error)));
}

void EmulatorEngine::mark_written() {
    if (!written_) {
        return;
    }
    const Written written = *written_;
    written_.reset();
    mark(written.first);
    if (written.last / page_bytes != written.first / page_bytes) {
        mark(written.last);
    }
}

void EmulatorEngine::mark(std::uint64_t address) {
    if (const EmulatorMemory* memory = memory_at(memory_, address)) {
        (*marks_)[memory->block].mark(memory->page_at(address), PageCount(1));
    }
}

}  // namespace godwit
