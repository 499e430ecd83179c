#pragma once

namespace godwit {

/// What kind of CPU the guest sees.
enum class CpuModel {
    qemu64,  ///< a small fixed set of features, the same on every host that has them
    host,    ///< what the host offers, except what cannot be moved to another host
};

}  // namespace godwit
