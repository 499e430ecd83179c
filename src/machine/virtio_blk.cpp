#include "machine/virtio_blk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "machine/virtio_ids.h"

namespace godwit {

namespace {

using namespace virtio;

/// What QEMU's disks offer (all but RING_RESET, which no driver for virtio-mmio accepts): a guest that comes from there
/// may have accepted any of it.
std::uint64_t offered(bool modern, bool read_only) {
    const std::uint64_t always = block::segment_maximum | block::geometry | block::block_size | block::flush |
                                 block::topology | block::configure_write_cache | block::discard | block::write_zeroes |
                                 notify_on_empty | indirect_descriptors | event_index;
    // SCSI requests are answered as unsupported.
    const std::uint64_t by_version = modern ? version_1 | any_layout : block::scsi;
    return always | by_version | (read_only ? block::read_only : 0);
}

}  // namespace

VirtioBlk::VirtioBlk(const MachineDisk& disk, DiskWriteTracker& tracker, GuestRam& ram, VirtioInterrupt& interrupt,
                     bool modern, Log& log)
    : disk_(disk),
      tracker_(tracker),
      ram_(ram),
      interrupt_(interrupt),
      log_(log),
      offered_features_(offered(modern, disk.device->is_read_only())),
      serial_(disk.name),
      config_(disk.device->size(), queue_size),
      queue_(ram),
      pending_(BlockQueue::max_in_flight),
      failures_(log, fmt::format("disk '{}'", disk.name)) {
    for (std::size_t slot = pending_.size(); slot-- > 0;) {
        free_.push_back(slot);
    }
}

VirtioBlk::~VirtioBlk() = default;

Result<std::unique_ptr<VirtioBlk>> VirtioBlk::create(const MachineDisk& disk, DiskWriteTracker& tracker, GuestRam& ram,
                                                     VirtioInterrupt& interrupt, bool modern, Executor& executor,
                                                     Log& log) {
    std::unique_ptr<VirtioBlk> device(new VirtioBlk(disk, tracker, ram, interrupt, modern, log));
    constexpr std::size_t longest_name = 15;
    auto worker = DiskWorker::start(executor, ("disk " + disk.name).substr(0, longest_name), *device);
    if (!worker) {
        return fail(worker.error());
    }
    device->worker_ = std::move(*worker);
    return device;
}

std::uint32_t VirtioBlk::id() const {
    return block::device_id;
}

bool VirtioBlk::read_configuration(std::uint64_t offset, std::span<std::byte> bytes) {
    if (offset > VirtioBlkConfig::bytes || bytes.size() > VirtioBlkConfig::bytes - offset) {
        return false;
    }
    const std::lock_guard lock(mutex_);
    std::memcpy(bytes.data(), config_.raw().data() + offset, bytes.size());
    return true;
}

void VirtioBlk::write_configuration(std::uint64_t offset, std::span<const std::byte> bytes) {
    constexpr std::uint64_t place = VirtioBlkConfig::write_cache_offset;
    if (offset <= place && place - offset < bytes.size()) {
        const std::lock_guard lock(mutex_);
        config_.set_write_cache(bytes[place - offset] != std::byte{0});
    }
}

void VirtioBlk::set_features(std::uint64_t features) {
    const std::lock_guard lock(mutex_);
    features_ = features;
    queue_.set_features(features);
}

void VirtioBlk::place_queue(const VirtqueueLayout& layout) {
    const std::lock_guard lock(mutex_);
    GODWIT_ASSERT(in_flight() == 0, "disk '{}' gets another queue while {} requests are under way", disk_.name,
                  in_flight());
    notified_ = false;
    if (const Status placed = queue_.place(layout); !placed) {
        return break_off(placed.error());
    }
    queue_.set_features(features_);
}

void VirtioBlk::notify() {
    notified_ = true;
    worker_->kick();
}

bool VirtioBlk::remove_queue(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    removing_ = true;
    if (!ended_.wait_for(lock, timeout, [this] { return in_flight() == 0; })) {
        return false;
    }
    removing_ = false;
    broken_ = false;
    notified_ = false;
    queue_.remove();
    return true;
}

void VirtioBlk::reset() {
    const std::lock_guard lock(mutex_);
    features_ = 0;
    queue_.set_features(0);
    config_.set_write_cache(true);
}

void VirtioBlk::pause() {
    Mode working = Mode::working;
    if (mode_.compare_exchange_strong(working, Mode::draining)) {
        // What a virtual CPU's last kick was about may not have been looked at yet.
        worker_->kick();
    }
}

void VirtioBlk::resume() {
    {
        // Otherwise the worker could rest on account of what it saw before this, if a pause follows at once.
        const std::lock_guard lock(mutex_);
        mode_ = Mode::working;
    }
    worker_->kick();
}

std::uint16_t VirtioBlk::queue_position() const {
    const std::lock_guard lock(mutex_);
    return queue_.position();
}

Status VirtioBlk::load_queue(const VirtqueueLayout& layout, std::uint16_t position, bool notified) {
    const std::lock_guard lock(mutex_);
    GODWIT_ASSERT(is_quiet() && in_flight() == 0, "disk '{}' is loaded while it works", disk_.name);
    if (Status placed = queue_.place(layout); !placed) {
        return placed;
    }
    queue_.set_features(features_);
    notified_ = notified;
    return queue_.set_position(position);
}

void VirtioBlk::load_write_cache(bool on) {
    const std::lock_guard lock(mutex_);
    config_.set_write_cache(on);
}

Result<int> VirtioBlk::begin() {
    auto queue = disk_.device->open_queue();
    if (!queue) {
        return fail(queue.error());
    }
    disk_queue_ = std::move(*queue);
    return disk_queue_->descriptor();
}

void VirtioBlk::end() {
    disk_queue_.reset();
}

bool VirtioBlk::may_serve() const {
    return mode_ != Mode::resting && !removing_ && !broken_ && notified_ && queue_.is_placed();
}

bool VirtioBlk::is_idle() const {
    if (in_flight() != 0) {
        return false;
    }
    // An error counts as something to do: the worker breaks off then.
    const Result<bool> next = may_serve() ? queue_.has_next() : false;
    return next && !*next;
}

/// The driver may have a device without a write cache: then a write is done when it is durable.
bool VirtioBlk::writes_through() const {
    if ((features_ & block::configure_write_cache) != 0) {
        return !config_.write_cache();
    }
    return (features_ & block::flush) == 0;
}

}  // namespace godwit
