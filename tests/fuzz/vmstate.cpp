// Device states that load must be saved as they will load again. First byte: which layout.
#include <array>
#include <cstring>

#include "base/assert.h"
#include "fuzz/fuzz_device.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "machine/apic_state.h"
#include "machine/cpu_state.h"
#include "machine/ioapic_state.h"
#include "machine/kvmclock_state.h"
#include "stream/testing.h"
#include "stream/vm_description.h"
#include "stream/vmstate_codec.h"

namespace godwit::fuzz {
namespace {

std::vector<std::byte> save(const VmState& layout, const void* data) {
    testing::ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    save_vmstate(layout, data, writer);
    writer.flush();
    GODWIT_ASSERT(writer.ok(), "{}", writer.error()->text());
    return channel.take();
}

Status load(const VmState& layout, std::vector<std::byte> bytes, void* data) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    StreamReader reader(channel, clock);
    return load_vmstate(layout, data, layout.version(), reader);
}

/// What the device does with a state that it got.
void use(const ApicState& state) {
    static_cast<void>(to_kvm_lapic(state));
}
template <typename Other>
void use(const Other&) {}

template <typename S>
void check(const VmState& layout, std::span<const std::byte> bytes) {
    S first{};
    if (const Status loaded = load(layout, {bytes.begin(), bytes.end()}, &first); !loaded) {
        GODWIT_ASSERT(!loaded.error().message.empty(), "an error without a message");
        return;
    }
    use(first);
    const std::vector<std::byte> saved = save(layout, &first);
    GODWIT_ASSERT(saved.size() >= vmstate_wire_bytes(layout), "{} bytes saved", saved.size());
    S second{};
    const Status again = load(layout, saved, &second);
    GODWIT_ASSERT(again.has_value(), "{}: what was saved does not load: {}", layout.name(), again.error().text());
    GODWIT_ASSERT(save(layout, &second) == saved, "{}: another state after saving and loading", layout.name());
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    Input input(data, size);
    switch (input.choice() % 5) {
        case 0:
            check<Registers>(registers_layout(), input.rest());
            break;
        case 1:
            check<CpuState>(cpu_state_layout(), input.rest());
            break;
        case 2:
            check<ApicState>(apic_state_layout(), input.rest());
            break;
        case 3:
            check<IoapicState>(ioapic_state_layout(), input.rest());
            break;
        default:
            check<KvmClockState>(kvmclock_state_layout(), input.rest());
    }
    return 0;
}
