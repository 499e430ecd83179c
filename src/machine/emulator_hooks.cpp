// What Unicorn calls, and when.

#include <fmt/format.h>

#include <utility>

#include "machine/emulator_engine.h"

namespace godwit {

namespace {

// From 1 to 0: everywhere.
constexpr std::uint64_t hook_begin = 1;
constexpr std::uint64_t hook_end = 0;

}  // namespace

/// Once the guest has asked for something, what follows in the same block is not carried out.
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
        // A hook that could not be taken away goes on.
        if (self.marks_ == nullptr) {
            return;
        }
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

Status EmulatorEngine::map_devices() {
    const uc_err error = uc_mmio_map(uc_, devices_start(), devices_end() - devices_start(), Hooks::device_read, this,
                                     Hooks::device_write, this);
    return error == UC_ERR_OK ? Status() : emulator_failure("devices", error);
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
    };
    for (const auto& hook : hooks) {
        uc_hook handle = 0;
        const uc_err error =
            uc_hook_add(uc_, &handle, hook.type, hook.function, this, hook_begin, hook_end, hook.instruction);
        if (error != UC_ERR_OK) {
            return emulator_failure("hooks", error);
        }
    }
    return {};
}

Status EmulatorEngine::set_marks(BlockMarks* marks) {
    if (marks != nullptr && !write_hook_) {
        uc_hook handle = 0;
        const uc_err error = uc_hook_add(uc_, &handle, UC_HOOK_MEM_WRITE,
                                         reinterpret_cast<void*>(&Hooks::memory_written), this, hook_begin, hook_end);
        if (error != UC_ERR_OK) {
            return emulator_failure("hook of writes", error);
        }
        write_hook_ = handle;
        // Unicorn 2.0.1 asks the hook in code that was translated before, too, but does not promise it.
        if (code_ != nullptr) {
            code_->forget_all();
        }
    } else if (marks == nullptr && write_hook_ && uc_hook_del(uc_, *write_hook_) == UC_ERR_OK) {
        write_hook_.reset();
    }
    marks_ = marks;
    return {};
}

}  // namespace godwit
