#include "machine/virtio_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "machine/virtio_ids.h"
#include "machine/virtio_layout.h"

namespace godwit {

namespace {

std::uint64_t join(const std::array<std::uint32_t, 2>& halves) {
    return halves[0] | std::uint64_t{halves[1]} << 32;
}

std::array<std::uint32_t, 2> split(std::uint64_t value) {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
}

class VirtioBlkState : public DeviceState {
public:
    VirtioBlkState(GuestAddress registers, VirtioMmio& transport, VirtioBlk& disk, VirtioInterrupt& interrupt)
        : name_(fmt::format("virtio-mmio@{:016x}/virtio-blk", registers.value())),
          transport_(transport),
          disk_(disk),
          interrupt_(interrupt) {}

    std::string_view section_name() const override { return name_; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &saved_; }
    Status before_save() override;
    Status after_load(std::uint32_t version) override;

private:
    using Saved = VirtioBlkSaved::Device;

    void save_modern(const VirtioMmio::Registers& registers);
    Status check(const Saved& saved) const;
    VirtioMmio::Registers registers_of(const Saved& saved) const;
    Status apply(const Saved& saved);
    Status about(Status status) const;

    const std::string name_;
    VirtioMmio& transport_;
    VirtioBlk& disk_;
    VirtioInterrupt& interrupt_;
    const VmState layout_ = virtio_blk_layout();
    VirtioBlkSaved saved_{};
};

Status VirtioBlkState::before_save() {
    if (!disk_.is_quiet()) {
        return about(fail(ErrorCode::disk, "requests of the guest are still under way"));
    }
    transport_.settle();
    const VirtioMmio::Registers registers = transport_.registers();
    saved_ = {};
    Saved& s = saved_.virtio;
    s.device_features_page = registers.device_features_page;
    s.driver_features_page = registers.driver_features_page;
    s.page_shift = registers.page_shift;
    s.status = registers.status;
    s.interrupt_reasons = static_cast<std::uint8_t>(interrupt_.reasons());
    s.queue_select = static_cast<std::uint16_t>(registers.queue_select);
    s.features_low = static_cast<std::uint32_t>(registers.features);
    s.features = registers.features;
    const auto configuration = disk_.configuration().raw();
    s.configuration_bytes = configuration.size();
    std::copy(configuration.begin(), configuration.end(), s.configuration.begin());
    s.queue_count = 1;
    s.queue_size = registers.queue_size;
    s.usual_sizes[0] = disk_.usual_queue_size();
    s.queue_alignment = registers.queue_alignment;
    s.position = disk_.queue_position();
    s.is_modern = transport_.is_modern();
    s.broken = disk_.is_broken();
    s.started = (registers.status & virtio::status_driver_ok) != 0;
    if (s.is_modern) {
        save_modern(registers);
    } else {
        s.descriptors = registers.descriptors;
    }
    return {};
}

void VirtioBlkState::save_modern(const VirtioMmio::Registers& registers) {
    Saved& s = saved_.virtio;
    s.modern.driver_features = split(registers.driver_features);
    VirtioBlkSaved::ModernQueue& queue = s.modern.queues[0];
    queue.size = registers.queue_size;
    queue.ready = registers.queue_ready;
    queue.descriptors = split(registers.descriptors);
    queue.available = split(registers.available);
    queue.used = split(registers.used);
    if (registers.queue_ready) {
        s.descriptors = registers.descriptors;
        s.rings[0] = {registers.available, registers.used};
    }
}

Status VirtioBlkState::after_load(std::uint32_t /*version*/) {
    // Subsections that the next stream lacks must not keep values of this one.
    const auto arrived = std::make_unique<VirtioBlkSaved>(saved_);
    saved_ = {};
    Saved& virtio = arrived->virtio;
    // A sender without features beyond the 32nd leaves their subsection out.
    if (!transport_.is_modern() && virtio.features == 0) {
        virtio.features = virtio.features_low;
    }
    Status status = check(virtio);
    return about(status ? apply(virtio) : std::move(status));
}

Status VirtioBlkState::about(Status status) const {
    if (!status) {
        status.error().message = fmt::format("disk '{}': {}", disk_.name(), status.error().message);
    }
    return status;
}

Status VirtioBlkState::check(const Saved& s) const {
    const std::uint64_t unknown = s.features & ~disk_.offered_features();
    if (unknown != 0) {
        return fail(ErrorCode::device_state,
                    fmt::format("the guest uses features that the disk does not have here: {:#x}", unknown),
                    "give both sides the same version of virtio, and a disk that can be written to on both or none");
    }
    if (s.features_low != static_cast<std::uint32_t>(s.features)) {
        return fail(ErrorCode::device_state,
                    fmt::format("its features are {:#x} and {:#x} at once", s.features_low, s.features));
    }
    const bool is_agreed = (s.status & virtio::status_driver_ok) != 0;
    if (transport_.is_modern() && is_agreed && (s.features & virtio::version_1) == 0) {
        return fail(ErrorCode::device_state, "the guest uses the legacy interface of virtio",
                    "start the destination with --virtio legacy");
    }
    constexpr std::uint32_t most_page_shift = 31;
    if (s.page_shift > most_page_shift) {
        return fail(ErrorCode::device_state, fmt::format("pages of 2^{} bytes are not possible", s.page_shift));
    }
    // All zeros where no driver has looked at it yet.
    std::uint64_t sectors = 0;
    std::memcpy(&sectors, s.configuration.data(), sizeof sectors);
    std::uint64_t sectors_here = 0;
    std::memcpy(&sectors_here, disk_.configuration().raw().data(), sizeof sectors_here);
    if (sectors != 0 && sectors != sectors_here) {
        return fail(ErrorCode::disk_mismatch,
                    fmt::format("it has {} sectors at its source and {} here", sectors, sectors_here),
                    "give the destination a disk of the same size");
    }
    return {};
}

VirtioMmio::Registers VirtioBlkState::registers_of(const Saved& s) const {
    VirtioMmio::Registers r;
    r.device_features_page = s.device_features_page;
    r.driver_features_page = s.driver_features_page;
    r.page_shift = s.page_shift;
    r.status = s.status;
    r.queue_select = s.queue_select;
    r.features = s.features;
    r.queue_alignment = s.queue_alignment;
    // What does not fit is no possible size either way.
    r.queue_size = static_cast<std::uint16_t>(std::min<std::uint32_t>(s.queue_size, 0xffff));
    r.descriptors = s.descriptors;
    if (!transport_.is_modern()) {
        return r;
    }
    const VirtioBlkSaved::ModernQueue& queue = s.modern.queues[0];
    r.driver_features = join(s.modern.driver_features);
    r.queue_ready = queue.ready;
    if (queue.ready) {
        r.available = s.rings[0].available;
        r.used = s.rings[0].used;
    } else {
        r.queue_size = queue.size != 0 ? queue.size : r.queue_size;
        r.descriptors = join(queue.descriptors);
        r.available = join(queue.available);
        r.used = join(queue.used);
    }
    return r;
}

Status VirtioBlkState::apply(const Saved& s) {
    const VirtioMmio::Registers registers = registers_of(s);
    if (!disk_.remove_queue(std::chrono::milliseconds(0))) {
        return fail(ErrorCode::device_state, "it still has requests of another guest");
    }
    transport_.load(registers);
    disk_.set_features(registers.features);
    // A cache that no driver has looked at is on.
    const bool looked_at =
        std::any_of(s.configuration.begin(), s.configuration.end(), [](auto byte) { return byte != 0; });
    disk_.load_write_cache(!looked_at || s.configuration[VirtioBlkConfig::write_cache_offset] != 0);
    disk_.load_broken(s.broken);
    interrupt_.set(s.interrupt_reasons);
    const auto layout = transport_.layout(registers);
    if (!layout || s.broken) {
        return {};
    }
    const bool ready = (s.status & virtio::status_driver_ok) != 0;
    return disk_.load_queue(*layout, s.position, ready || (!transport_.is_modern() && s.position != 0));
}

}  // namespace

std::unique_ptr<DeviceState> make_virtio_blk_state(GuestAddress registers, VirtioMmio& transport, VirtioBlk& disk,
                                                   VirtioInterrupt& interrupt) {
    return std::make_unique<VirtioBlkState>(registers, transport, disk, interrupt);
}

}  // namespace godwit
