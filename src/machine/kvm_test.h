#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

#include "io/file_descriptor.h"
#include "machine/kvm_api.h"

namespace godwit::testing {

inline bool kvm_works() {
    const FileDescriptor kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    return FileDescriptor(::ioctl(kvm.get(), KVM_CREATE_VM, 0)).valid();
}

/// Skips the test, from its `SetUp`, where there is no KVM; fails it if GODWIT_REQUIRE_KVM=1 says that there has to be.
inline void need_kvm() {
    if (kvm_works()) {
        return;
    }
    const char* required = std::getenv("GODWIT_REQUIRE_KVM");
    if (required != nullptr && std::string_view(required) == "1") {
        FAIL() << "KVM does not work here, and GODWIT_REQUIRE_KVM=1 wants it";
    }
    GTEST_SKIP() << "KVM does not work here";
}

/// Tests that need KVM and nothing else.
class KvmTest : public ::testing::Test {
protected:
    void SetUp() override { need_kvm(); }
};

}  // namespace godwit::testing
