// Stands in for the emulator in a program that is built without Unicorn.

#include "machine/emulator.h"

namespace godwit {

Result<std::unique_ptr<Accelerator>> make_emulator(Log& /*log*/, std::uint32_t /*vcpu_count*/,
                                                   EmulatorTracking /*tracking*/) {
    return fail(ErrorCode::unsupported, "this program was built without Unicorn, which emulates CPUs",
                "use KVM, or build it where libunicorn-dev is installed");
}

}  // namespace godwit
