#include "real/tiny_machine.h"

#include <algorithm>
#include <cstring>

#if defined(__GNUC__)
#define GODWIT_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define GODWIT_NO_TSAN
#endif

namespace godwit::race {
namespace {

std::byte* aligned(std::byte* raw) {
    const auto address = reinterpret_cast<std::uintptr_t>(raw);
    return raw + (page_bytes - address % page_bytes) % page_bytes;
}

}  // namespace

TinyMachine::TinyMachine(Faults& faults, std::atomic<int>& running_guests, RunState state)
    : faults_(faults),
      running_guests_(running_guests),
      state_(state),
      raw_(std::make_unique<std::byte[]>((tiny_pages + 1) * page_bytes)) {
    block_ = RamBlock{"ram", aligned(raw_.get()), ByteCount(tiny_pages * page_bytes), true};
    if (state == RunState::running) {
        ++running_guests_;
    }
    guest_ = std::thread([this] { run_guest(); });
}

TinyMachine::~TinyMachine() {
    ending_ = true;
    guest_.join();
    if (guest_runs()) {
        --running_guests_;
    }
}

/// A guest writes while its memory is read: that is what dirty tracking is for, and no race to report.
GODWIT_NO_TSAN void TinyMachine::write_a_word(std::uint64_t count) {
    const std::uint64_t page = count * 7 % tiny_pages;
    auto* word = reinterpret_cast<volatile std::uint64_t*>(block_.host + page * page_bytes + count % 500 * 8);
    *word = count;
    dirty_.fetch_or(std::uint64_t{1} << page);
}

void TinyMachine::add_disk(const Disk& disk, SharedDisk& image, ByteCount span) {
    const std::lock_guard no_write(vcpu_);
    disks_.push_back({disk, &image, span.value() / sector_bytes});
}

void TinyMachine::remove_disks() {
    const std::lock_guard no_write(vcpu_);
    disks_.clear();
}

std::vector<Disk> TinyMachine::disks() const {
    const std::lock_guard no_write(vcpu_);
    std::vector<Disk> disks;
    for (const TinyDisk& tiny : disks_) {
        disks.push_back(tiny.disk);
    }
    return disks;
}

/// The order of a disk's server: the data, the mark, the word to the guest.
void TinyMachine::write_a_sector(std::uint64_t count) {
    for (const TinyDisk& tiny : disks_) {
        if (tiny.sectors == 0) {
            continue;
        }
        const DiskOffset offset(count * 7919 % tiny.sectors * sector_bytes);
        std::array<std::byte, sector_bytes> sector;
        std::memset(sector.data(), static_cast<int>(count % 251), sector.size());
        if (!tiny.image->write(offset, sector)) {
            faults_.note("the guest's write failed");
        }
        if (tiny.disk.tracker != nullptr) {
            tiny.disk.tracker->written(offset, ByteCount(sector_bytes));
        }
        ++disk_writes_;
    }
}

void TinyMachine::run_guest() {
    for (std::uint64_t count = 1; !ending_; ++count) {
        {
            const std::lock_guard writing(vcpu_);
            if (guest_runs()) {
                write_a_word(count);
                if (count % 8 == 0) {
                    write_a_sector(count / 8);
                }
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds(30));
    }
}

void TinyMachine::set_state(RunState state) {
    const RunState before = state_.exchange(state);
    if (before != RunState::running && state == RunState::running) {
        if (++running_guests_ > 1) {
            faults_.note("the guest runs twice");
        }
    } else if (before == RunState::running && state != RunState::running) {
        --running_guests_;
    }
}

Status TinyMachine::stop_for_switchover() {
    const std::lock_guard no_write(vcpu_);
    set_state(RunState::finish_migrate);
    return {};
}

Status TinyMachine::resume_after_failure(RunState before) {
    if (run_state() != RunState::finish_migrate) {
        faults_.note("resumed without having been stopped");
    }
    set_state(before);
    return {};
}

Status TinyMachine::release_disks() {
    if (protocol != nullptr) {
        protocol->note("source releases");
    }
    return {};
}

void TinyMachine::finish_migrated(bool) {
    set_state(RunState::postmigrate);
}

void TinyMachine::set_ownership_unknown() {
    unknown_ = true;
    set_state(RunState::paused);
}

Status TinyMachine::set_incoming_run_state(std::string_view name) {
    incoming_ = run_state_from_string(name).value_or(RunState::internal_error);
    return {};
}

Status TinyMachine::start_after_load() {
    if (comes_from != nullptr && !same_memory(*comes_from)) {
        faults_.note("the guest starts with wrong memory");
    }
    if (comes_from != nullptr && !same_disks(*comes_from)) {
        faults_.note("the guest starts with wrong disks");
    }
    if (protocol != nullptr) {
        protocol->note("destination starts");
    }
    set_state(incoming_);
    return {};
}

Status TinyMachine::make_zero(std::size_t, PageNumber first, PageCount count) {
    std::memset(block_.host + first.value() * page_bytes, 0, count.value() * page_bytes);
    return {};
}

Status TinyMachine::start() {
    dirty_ = 0;
    tracking_ = true;
    return {};
}

Status TinyMachine::collect(std::size_t, std::span<std::uint64_t> bitmap) {
    bitmap[0] |= dirty_.exchange(0);
    return {};
}

/// Both guests stand still. Disks of which only one side has an image of its own are not compared.
bool TinyMachine::same_disks(const TinyMachine& other) const {
    const std::scoped_lock both(vcpu_, other.vcpu_);
    bool same = true;
    for (std::size_t i = 0; i < std::min(disks_.size(), other.disks_.size()); ++i) {
        same = same && (disks_[i].image->read_only || disks_[i].image->bytes() == other.disks_[i].image->bytes());
    }
    return same;
}

bool TinyMachine::same_memory(const TinyMachine& other) const {
    return std::memcmp(block_.host, other.block_.host, tiny_pages * page_bytes) == 0;
}

}  // namespace godwit::race
