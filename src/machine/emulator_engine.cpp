#include "machine/emulator_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "machine/emulator_block_end.h"
#include "machine/emulator_interrupts.h"
#include "machine/guest_ram.h"

namespace godwit {

namespace {

constexpr std::uint64_t address_space_end = std::uint64_t{1} << 32;

Status failed(const char* what, uc_err error) {
    return fail(ErrorCode::vcpu, fmt::format("the emulator failed: {}: {}", what, uc_strerror(error)));
}

}  // namespace

/// What Unicorn calls. Once the guest has asked for something, what follows in the same block is not carried out.
struct EmulatorEngine::Hooks {
    static EmulatorEngine& engine(void* data) { return *static_cast<EmulatorEngine*>(data); }

    static void before_block(uc_engine* uc, std::uint64_t address, std::uint32_t size, void* data) {
        EmulatorEngine& self = engine(data);
        self.mark_written();
        if (std::exchange(self.changes_mode_, false)) {
            self.check_mode();
        }
        self.stopped_ = self.stop_.load() || self.request_;
        self.forgetting_ = !self.stopped_ && !self.is_current(address, address + size - 1);
        if (!self.stopped_ && !self.forgetting_) {
            self.look_at_end(address + size);
            self.stopped_ = self.request_.has_value();
        }
        if (self.stopped_ || self.forgetting_) {
            uc_emu_stop(uc);
        }
    }

    /// Code is translated once, when it is first reached: what switches modes is followed by code that was not.
    static void after_translation(uc_engine* /*uc*/, uc_tb* /*current*/, uc_tb* /*previous*/, void* data) {
        engine(data).check_mode();
    }

    static std::uint32_t port_read(uc_engine* /*uc*/, std::uint32_t port, int bytes, void* data) {
        EmulatorEngine& self = engine(data);
        if (self.request_) {
            return ~std::uint32_t{0};
        }
        return self.buses_->ports.read(static_cast<std::uint16_t>(port), static_cast<unsigned>(bytes));
    }

    static void port_write(uc_engine* /*uc*/, std::uint32_t port, int bytes, std::uint32_t value, void* data) {
        EmulatorEngine& self = engine(data);
        if (!self.request_) {
            self.request_ =
                self.buses_->ports.write(static_cast<std::uint16_t>(port), static_cast<unsigned>(bytes), value);
        }
    }

    static std::uint64_t device_read(uc_engine* /*uc*/, std::uint64_t offset, unsigned bytes, void* data) {
        EmulatorEngine& self = engine(data);
        const GuestAddress address = self.device_address(offset);
        if (self.request_ || self.refuse_controller(address)) {
            return ~std::uint64_t{0};
        }
        return self.buses_->mmio.read(address, bytes);
    }

    static void device_write(uc_engine* /*uc*/, std::uint64_t offset, unsigned bytes, std::uint64_t value, void* data) {
        EmulatorEngine& self = engine(data);
        const GuestAddress address = self.device_address(offset);
        if (!self.request_ && !self.refuse_controller(address)) {
            self.buses_->mmio.write(address, bytes, value);
        }
    }

    static void memory_written(uc_engine* /*uc*/, uc_mem_type /*type*/, std::uint64_t address, int bytes,
                               std::int64_t /*value*/, void* data) {
        EmulatorEngine& self = engine(data);
        self.mark_written();
        self.written_ = Written{address, address + static_cast<std::uint64_t>(bytes) - 1};
    }

    static void exception(uc_engine* uc, std::uint32_t vector, void* data) {
        EmulatorEngine& self = engine(data);
        self.check_mode();
        self.fail_cpu(fmt::format("exception or interrupt {}, which an emulated CPU does not deliver", vector));
        self.stopped_ = true;
        uc_emu_stop(uc);
    }
};

EmulatorEngine::EmulatorEngine(const std::atomic<bool>& stop, const std::vector<EmulatorMemory>& memory,
                               BlockMarks* marks, EmulatorCode* code)
    : stop_(stop), memory_(memory), marks_(marks), code_(code) {}

EmulatorEngine::~EmulatorEngine() {
    if (uc_ != nullptr) {
        uc_close(uc_);
    }
}

Status EmulatorEngine::open() {
    GODWIT_ASSERT(uc_ == nullptr, "the engine is open already");
    if (const uc_err error = uc_open(UC_ARCH_X86, UC_MODE_32, &uc_); error != UC_ERR_OK) {
        uc_ = nullptr;
        return failed("open", error);
    }
    if (const uc_err error = uc_ctl_set_cpu_model(uc_, UC_CPU_X86_QEMU64); error != UC_ERR_OK) {
        return failed("CPU model", error);
    }
    for (const EmulatorMemory& memory : memory_) {
        const uc_err error = uc_mem_map_ptr(uc_, memory.where.value(), memory.size.value(), UC_PROT_ALL, memory.host);
        if (error != UC_ERR_OK) {
            return failed("memory", error);
        }
    }
    return add_hooks();
}

Status EmulatorEngine::map_devices() {
    const uc_err error = uc_mmio_map(uc_, devices_start(), devices_end() - devices_start(), Hooks::device_read, this,
                                     Hooks::device_write, this);
    return error == UC_ERR_OK ? Status() : failed("devices", error);
}

Status EmulatorEngine::add_hooks() {
    struct {
        int type;
        void* function;
        int instruction;
    } const hooks[] = {
        {UC_HOOK_BLOCK, reinterpret_cast<void*>(&Hooks::before_block), 0},
        {UC_HOOK_EDGE_GENERATED, reinterpret_cast<void*>(&Hooks::after_translation), 0},
        {UC_HOOK_INSN, reinterpret_cast<void*>(&Hooks::port_read), UC_X86_INS_IN},
        {UC_HOOK_INSN, reinterpret_cast<void*>(&Hooks::port_write), UC_X86_INS_OUT},
        {UC_HOOK_INTR, reinterpret_cast<void*>(&Hooks::exception), 0},
        {UC_HOOK_MEM_WRITE, reinterpret_cast<void*>(&Hooks::memory_written), 0},
    };
    // From 1 to 0: everywhere.
    constexpr std::uint64_t begin = 1;
    constexpr std::uint64_t end = 0;
    for (const auto& hook : hooks) {
        if (hook.type == UC_HOOK_MEM_WRITE && marks_ == nullptr) {
            continue;
        }
        uc_hook handle = 0;
        const uc_err error = uc_hook_add(uc_, &handle, hook.type, hook.function, this, begin, end, hook.instruction);
        if (error != UC_ERR_OK) {
            return failed("hooks", error);
        }
    }
    return {};
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
