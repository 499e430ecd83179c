#pragma once

#include "godwit/error.h"

namespace godwit {

/// An ioctl of KVM with its name, for messages.
struct KvmRequest {
    unsigned long number;
    const char* name;
};

/// The request of that name: `GODWIT_KVM(KVM_GET_REGS)`.
#define GODWIT_KVM(NAME) (::godwit::KvmRequest{NAME, #NAME})

/// Makes the call, again when a signal interrupted it (so not for KVM_RUN, where the interruption is the point).
/// Returns what the kernel returned, or -errno.
int try_kvm_ioctl(int fd, KvmRequest request, void* argument);
int try_kvm_ioctl(int fd, KvmRequest request, unsigned long argument);

/// An error of such a call in words: "KVM_SET_SREGS: Invalid argument".
Error kvm_error(KvmRequest request, int error, ErrorCode code = ErrorCode::vcpu);

/// As `try_kvm_ioctl`, with the error as a value that names the call.
Result<int> kvm_ioctl(int fd, KvmRequest request, void* argument, ErrorCode code = ErrorCode::vcpu);
Result<int> kvm_ioctl(int fd, KvmRequest request, unsigned long argument, ErrorCode code = ErrorCode::vcpu);

}  // namespace godwit
