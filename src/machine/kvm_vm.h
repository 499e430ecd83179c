#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "godwit/error.h"
#include "godwit/log.h"
#include "godwit/units.h"
#include "io/file_descriptor.h"
#include "machine/accelerator.h"
#include "machine/cpu_model.h"
#include "machine/kvm_cpuid.h"
#include "machine/kvm_features.h"

struct kvm_run;

namespace godwit {

/// What the CPUs of one machine have in common.
struct KvmShared {
    explicit KvmShared(Log& log_to) : log(log_to) {}

    Log& log;
    KvmFeatures features;
    /// What CPUID answers, but for what differs from CPU to CPU.
    CpuidTable cpuid;
    /// EAX of CPUID leaf 1.
    std::uint32_t cpu_signature = 0;
    /// Guest physical addresses are below 2 to the power of this.
    std::uint32_t address_bits = 0;
    /// What the guest sees as memory. Constant once a CPU runs.
    struct Memory {
        GuestAddress where;
        ByteCount size;
        bool read_only = false;
    };
    std::vector<Memory> memory;
    /// Whether an access ends in memory, so that KVM does not leave it to devices. Any thread.
    bool is_memory(GuestAddress address, bool is_write) const;
    /// Things that are said once for a machine.
    std::atomic<bool> said_tsc_ignored = false;
    std::atomic<bool> said_tsc_rate = false;
};

/// A virtual CPU as KVM knows it: a descriptor and the page through which kernel and program talk. While its KVM_RUN is
/// not under way, any thread may use it.
class KvmVcpu : public Vcpu {
public:
    ~KvmVcpu() override;

    int fd() const { return fd_.get(); }
    /// Mapped as long as this object lives.
    kvm_run* shared_page() const { return run_; }
    std::uint32_t index() const override { return index_; }
    CpuIdentity identity() const override { return {shared_.cpu_signature, shared_.features.mcg_cap}; }

    void attach_thread() override;
    void prepare_run(bool complete_only) override;
    ExitOutcome run(const GuestBuses& buses) override;
    void interrupt() override;

    Status save(VcpuState& state) const override;
    Status load(const VcpuState& state) override;
    Status load_tsc(const CpuState& state) override;
    Status reset_tsc() override;
    Status save_apic(ApicState& state) const override;
    Status load_apic(const ApicState& state) override;

    const KvmFeatures& features() const { return shared_.features; }
    KvmShared& shared() const { return shared_; }

private:
    friend class KvmVm;
    KvmVcpu(FileDescriptor fd, std::uint32_t index, KvmShared& shared)
        : fd_(std::move(fd)), index_(index), shared_(shared) {}
    Status map_run(std::size_t bytes);

    FileDescriptor fd_;
    const std::uint32_t index_;
    KvmShared& shared_;
    kvm_run* run_ = nullptr;
    std::size_t run_bytes_ = 0;
    /// Set before the first run.
    pthread_t thread_{};
};

/// A virtual machine of KVM: CPUs, the in-kernel interrupt controllers (one APIC per CPU, an IOAPIC), and the memory
/// that the guest sees. CPUs begin as after creation by KVM: see cpu_reset.h.
class KvmVm : public Accelerator {
public:
    /// Most CPUs of a machine (bits of an APIC id, without the broadcast id).
    static constexpr std::uint32_t max_vcpus = 255;
    static constexpr const char* default_device = "/dev/kvm";

    /// Creates the machine with all its CPUs; `log` outlives it. What the host's KVM lacks is said line by line. Takes
    /// some milliseconds. Errors: `unsupported` (no KVM, or it lacks something necessary), `invalid_argument` (number
    /// of CPUs), `vcpu` (the kernel refused).
    static Result<std::unique_ptr<KvmVm>> create(Log& log, CpuModel model, std::uint32_t vcpu_count,
                                                 const char* device = default_device);

    Status add_memory(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) override;
    /// Read-only for the guest, where KVM can do that. Then it needs no log of written pages; to begin and to end one
    /// takes a while, in which KVM waits for all CPUs, and the more slots there are the longer.
    Status add_firmware(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) override;
    /// Whether KVM can log the pages of a slot that the guest writes.
    bool is_logged(std::uint32_t slot) const { return !slots_[slot].read_only; }
    std::unique_ptr<GuestDirtySource> make_dirty_source(GuestMemory& memory, std::vector<RamSlot> slots) override;
    /// Switches the recording of written pages of a slot. Under the machine lock or while nobody else uses the
    /// machine's memory; CPUs may run. Errors: `dirty_tracking`.
    Status set_dirty_logging(std::uint32_t slot, bool on);

    KvmVcpu& vcpu(std::uint32_t index) override;
    std::uint32_t vcpu_count() const override { return static_cast<std::uint32_t>(vcpus_.size()); }
    int fd() const { return fd_.get(); }
    const KvmFeatures& features() const { return shared_.features; }
    Log& log() const override { return shared_.log; }

    Status set_irq(std::uint32_t line, bool level) override;
    Status save_ioapic(IoapicState& state) const override;
    Status load_ioapic(const IoapicState& state) override;
    Status save_kvmclock(KvmClockState& state) const override;
    Status load_kvmclock(const KvmClockState& state) override;

private:
    struct Slot {
        bool used = false;
        GuestAddress where;
        std::byte* host = nullptr;
        ByteCount size;
        bool read_only = false;
    };

    explicit KvmVm(Log& log) : shared_(log) {}
    Status open(const char* device, CpuModel model, std::uint32_t vcpu_count);
    Status create_vm();
    void set_real_mode_pages();
    Status create_interrupt_controllers();
    Status route_to_ioapic();
    void choose_dirty_log_mode();
    Status create_vcpus(CpuModel model, std::uint32_t count);
    Status set_up_machine_check();
    Status add_slot(std::uint32_t number, const Slot& added);
    Status set_slot(std::uint32_t number, const Slot& slot, bool log_dirty);

    KvmShared shared_;
    FileDescriptor kvm_;
    FileDescriptor fd_;
    std::vector<Slot> slots_;
    std::vector<std::unique_ptr<KvmVcpu>> vcpus_;
};

}  // namespace godwit
