#include "machine/guest_ram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace godwit {

std::vector<RamRange> microvm_ram_ranges(ByteCount memory) {
    const ByteCount low(std::min(memory.value(), low_ram_end.value()));
    std::vector<RamRange> ranges{{GuestAddress(0), low, BlockOffset(0)}};
    if (memory > low) {
        ranges.push_back({high_ram_start, memory - low, BlockOffset(low.value())});
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
            std::byte* host = memory_.blocks().front().host + range.offset.value() + inside;
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
                "give the machine more memory");
}

void GuestRam::mark_written(std::span<const std::byte> bytes) const {
    if (bytes.empty() || !written_) {
        return;
    }
    const auto offset = static_cast<std::uint64_t>(bytes.data() - memory_.blocks().front().host);
    const PageNumber first = page_at(BlockOffset(offset));
    const PageNumber last = page_at(BlockOffset(offset + bytes.size() - 1));
    written_(first, PageCount(last.value() - first.value() + 1));
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
    const auto offset = static_cast<std::uint64_t>(target->data() - memory_.blocks().front().host);
    const std::uint64_t end = offset + size.value();
    const std::uint64_t first_page = (offset + page_bytes - 1) / page_bytes;
    const std::uint64_t end_page = end / page_bytes;
    if (first_page >= end_page) {
        std::fill(target->begin(), target->end(), std::byte{0});
    } else {
        std::fill_n(target->data(), first_page * page_bytes - offset, std::byte{0});
        std::fill_n(memory_.blocks().front().host + end_page * page_bytes, end - end_page * page_bytes, std::byte{0});
        if (auto status = memory_.make_zero(0, PageNumber(first_page), PageCount(end_page - first_page)); !status) {
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
