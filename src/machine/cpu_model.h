#pragma once

namespace godwit {

/// What kind of CPU the guest sees.
enum class CpuModel {
    qemu64,  ///< QEMU's default: a small fixed set of features; the vendor and the address width are the host's
    kvm64,   ///< QEMU's model for guests under KVM, as small
    host,    ///< what the host offers, except what cannot be moved to another host
};

}  // namespace godwit
