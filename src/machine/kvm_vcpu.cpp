// The creation of virtual CPUs.

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "io/system_error.h"
#include "machine/cpu_msrs.h"
#include "machine/kvm_api.h"
#include "machine/kvm_cpuid.h"
#include "machine/kvm_ioctl.h"
#include "machine/kvm_vm.h"

namespace godwit {

namespace {

Status set_cpuid(int vcpu_fd, const CpuidTable& table) {
    const std::size_t bytes = sizeof(kvm_cpuid2) + table.size() * sizeof(kvm_cpuid_entry2);
    const auto storage = std::make_unique<std::uint64_t[]>(bytes / sizeof(std::uint64_t) + 1);
    auto* list = reinterpret_cast<kvm_cpuid2*>(storage.get());
    list->nent = static_cast<std::uint32_t>(table.size());
    std::memcpy(list->entries, table.data(), table.size() * sizeof(kvm_cpuid_entry2));
    if (auto done = kvm_ioctl(vcpu_fd, GODWIT_KVM(KVM_SET_CPUID2), list); !done) {
        return fail(done.error());
    }
    return {};
}

}  // namespace

KvmVcpu::~KvmVcpu() {
    if (run_ != nullptr) {
        ::munmap(run_, run_bytes_);
    }
}

Status KvmVcpu::map_run(std::size_t bytes) {
    void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), 0);
    if (mapped == MAP_FAILED) {
        return fail_errno(ErrorCode::vcpu, fmt::format("virtual CPU {}: mmap", index_), errno);
    }
    run_ = static_cast<kvm_run*>(mapped);
    run_bytes_ = bytes;
    return {};
}

Status KvmVm::create_vcpus(CpuModel model, std::uint32_t count) {
    const auto supported = read_supported_cpuid(kvm_.get());
    if (!supported) {
        return fail(supported.error());
    }
    shared_.cpuid = make_cpuid(model, *supported, log());
    const CpuidTable& cpuid = shared_.cpuid;
    shared_.cpu_signature = cpu_signature(cpuid);
    shared_.address_bits = physical_address_bits(cpuid);
    const auto run_bytes = kvm_ioctl(kvm_.get(), GODWIT_KVM(KVM_GET_VCPU_MMAP_SIZE), 0UL);
    if (!run_bytes) {
        return fail(run_bytes.error());
    }
    for (std::uint32_t index = 0; index < count; ++index) {
        const auto fd = kvm_ioctl(fd_.get(), GODWIT_KVM(KVM_CREATE_VCPU), static_cast<unsigned long>(index));
        if (!fd) {
            return fail(fd.error());
        }
        std::unique_ptr<KvmVcpu> vcpu(new KvmVcpu(FileDescriptor(*fd), index, shared_));
        if (auto status = vcpu->map_run(static_cast<std::size_t>(*run_bytes)); !status) {
            return status;
        }
        CpuidTable own = cpuid;
        add_topology(own, index, count);
        if (auto status = set_cpuid(vcpu->fd(), own); !status) {
            return status;
        }
        vcpus_.push_back(std::move(vcpu));
    }
    if (auto status = set_up_machine_check(); !status) {
        return status;
    }
    auto msrs = probe_msrs(kvm_.get(), vcpus_.front()->fd(), shared_.features.mcg_cap, log());
    if (!msrs) {
        return fail(msrs.error());
    }
    shared_.features.msrs = std::move(*msrs);
    return {};
}

Status KvmVm::set_up_machine_check() {
    std::uint64_t mcg_cap = shared_.features.mcg_cap;
    for (const auto& vcpu : vcpus_) {
        if (mcg_cap == 0) {
            break;
        }
        if (auto done = kvm_ioctl(vcpu->fd(), GODWIT_KVM(KVM_X86_SETUP_MCE), &mcg_cap); !done) {
            return fail(done.error());
        }
    }
    return {};
}

}  // namespace godwit
