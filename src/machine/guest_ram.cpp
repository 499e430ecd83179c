#include "machine/guest_ram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "machine/firmware.h"

namespace godwit {

std::vector<RamRange> microvm_ram_ranges(ByteCount memory) {
    const ByteCount low(std::min(memory.value(), low_ram_end.value()));
    const std::uint64_t below_firmware = std::min(low.value(), low_firmware_start.value());
    const std::uint64_t above_firmware = low_firmware_start.value() + firmware_size.value();
    std::vector<RamRange> ranges{{GuestAddress(0), ByteCount(below_firmware), BlockOffset(0), ram_block},
                                 {low_firmware_start, firmware_size, BlockOffset(0), firmware_block}};
    if (low.value() > above_firmware) {
        ranges.push_back({GuestAddress(above_firmware), ByteCount(low.value() - above_firmware),
                          BlockOffset(above_firmware), ram_block});
    }
    ranges.push_back({firmware_start, firmware_size, BlockOffset(0), firmware_block});
    if (memory > low) {
        ranges.push_back({high_ram_start, memory - low, BlockOffset(low.value()), ram_block});
    }
    return ranges;
}

std::optional<std::span<std::byte>> GuestRam::find(GuestAddress address, ByteCount size) const {
    for (const RamRange& range : ranges_) {
        if (address < range.start) {
            continue;
        }
        const std::uint64_t inside = address.value() - range.start.value();
        if (inside < range.size.value() && size.value() <= range.size.value() - inside) {
            std::byte* host = memory_.blocks()[range.block].host + range.offset.value() + inside;
            return std::span<std::byte>(host, size.value());
        }
    }
    return std::nullopt;
}

Result<std::span<std::byte>> GuestRam::translate(GuestAddress address, ByteCount size) const {
    if (const auto found = find(address, size)) {
        return *found;
    }
    return fail(ErrorCode::invalid_argument,
                fmt::format("the {} bytes at {:#x} are not within the guest's RAM", size.value(), address.value()),
                "give the machine more memory, or use addresses outside of the firmware's (0xf0000 to 0x100000)");
}

GuestRam::Place GuestRam::place_of(std::span<const std::byte> bytes) const {
    const std::span<const RamBlock> blocks = memory_.blocks();
    for (std::size_t block = 0; block < blocks.size(); ++block) {
        // Blocks lie anywhere: as numbers their addresses can be compared.
        const std::uint64_t offset =
            reinterpret_cast<std::uintptr_t>(bytes.data()) - reinterpret_cast<std::uintptr_t>(blocks[block].host);
        if (offset < blocks[block].size.value()) {
            return {block, offset};
        }
    }
    GODWIT_ASSERT(false, "{} bytes are not guest memory", bytes.size());
    return {};
}

void GuestRam::mark_written(std::span<const std::byte> bytes) const {
    if (bytes.empty() || !written_) {
        return;
    }
    const Place place = place_of(bytes);
    const PageNumber first = page_at(BlockOffset(place.offset));
    const PageNumber last = page_at(BlockOffset(place.offset + bytes.size() - 1));
    written_(place.block, first, PageCount(last.value() - first.value() + 1));
}

Status GuestRam::write(GuestAddress address, std::span<const std::byte> bytes) {
    auto target = translate(address, ByteCount(bytes.size()));
    if (!target) {
        return fail(target.error());
    }
    if (!bytes.empty()) {
        std::memcpy(target->data(), bytes.data(), bytes.size());
    }
    mark_written(*target);
    return {};
}

Status GuestRam::clear(GuestAddress address, ByteCount size) {
    auto target = translate(address, size);
    if (!target) {
        return fail(target.error());
    }
    if (target->empty()) {
        return {};
    }
    const Place place = place_of(*target);
    const std::uint64_t end = place.offset + size.value();
    const std::uint64_t first_page = (place.offset + page_bytes - 1) / page_bytes;
    const std::uint64_t end_page = end / page_bytes;
    if (first_page >= end_page) {
        std::fill(target->begin(), target->end(), std::byte{0});
    } else {
        std::fill_n(target->data(), first_page * page_bytes - place.offset, std::byte{0});
        std::fill_n(memory_.blocks()[place.block].host + end_page * page_bytes, end - end_page * page_bytes,
                    std::byte{0});
        if (auto status = memory_.make_zero(place.block, PageNumber(first_page), PageCount(end_page - first_page));
            !status) {
            return status;
        }
    }
    mark_written(*target);
    return {};
}

Result<std::span<const std::byte>> GuestRam::read(GuestAddress address, ByteCount size) const {
    auto target = translate(address, size);
    if (!target) {
        return fail(target.error());
    }
    return std::span<const std::byte>(*target);
}

}  // namespace godwit
