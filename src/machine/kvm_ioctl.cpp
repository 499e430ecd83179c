#include "machine/kvm_ioctl.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/assert.h"
#include "io/system_error.h"
#include "machine/kvm_api.h"

namespace godwit {

namespace {

template <typename Argument>
int call(int fd, KvmRequest request, Argument argument) {
    GODWIT_ASSERT(request.number != KVM_RUN, "KVM_RUN must see its interruptions");
    while (true) {
        const int result = ::ioctl(fd, request.number, argument);
        if (result >= 0) {
            return result;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

Result<int> to_result(KvmRequest request, int result, ErrorCode code) {
    if (result < 0) {
        return fail(kvm_error(request, -result, code));
    }
    return result;
}

}  // namespace

int try_kvm_ioctl(int fd, KvmRequest request, void* argument) {
    return call(fd, request, argument);
}

int try_kvm_ioctl(int fd, KvmRequest request, unsigned long argument) {
    return call(fd, request, argument);
}

Error kvm_error(KvmRequest request, int error, ErrorCode code) {
    return Error{code, fmt::format("{}: {}", request.name, errno_text(error))};
}

Result<int> kvm_ioctl(int fd, KvmRequest request, void* argument, ErrorCode code) {
    return to_result(request, call(fd, request, argument), code);
}

Result<int> kvm_ioctl(int fd, KvmRequest request, unsigned long argument, ErrorCode code) {
    return to_result(request, call(fd, request, argument), code);
}

}  // namespace godwit
