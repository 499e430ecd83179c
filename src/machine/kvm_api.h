#pragma once

// The only place that includes <linux/kvm.h>. Some versions of the kernel's headers declare flexible arrays through an
// empty structure, which has size 1 in C++ (0 in C): ioctl numbers, which encode sizes, come out wrong, and the kernel
// answers EINVAL. So the macro behind it is replaced, and the numbers are checked.

#ifdef __LINUX_KVM_H
#error "include machine/kvm_api.h instead of <linux/kvm.h>"
#endif

#include <linux/stddef.h>
#include <linux/types.h>
#include <sys/ioctl.h>

#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[0]  // NOLINT(bugprone-reserved-identifier): the kernel's name

#include <linux/kvm.h>

static_assert(KVM_GET_SUPPORTED_CPUID == 0xc008ae05);
static_assert(KVM_SET_CPUID2 == 0x4008ae90);
static_assert(KVM_GET_MSR_INDEX_LIST == 0xc004ae02);
static_assert(KVM_GET_MSRS == 0xc008ae88);
static_assert(KVM_SET_MSRS == 0x4008ae89);
static_assert(KVM_GET_XSAVE == 0x9000aea4);
static_assert(KVM_SET_XSAVE == 0x5000aea5);
static_assert(KVM_SET_SIGNAL_MASK == 0x4004ae8b);
static_assert(KVM_SET_GSI_ROUTING == 0x4008ae6a);
static_assert(KVM_GET_DIRTY_LOG == 0x4010ae42);
static_assert(KVM_CLEAR_DIRTY_LOG == 0xc018aec0);
