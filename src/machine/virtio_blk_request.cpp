#include "machine/virtio_blk_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "machine/virtio_ids.h"

namespace godwit {

namespace {

using Buffers = std::vector<std::span<std::byte>>;
using namespace virtio::block;

struct Header {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
};
struct Segment {
    std::uint64_t sector;
    std::uint32_t sectors;
    std::uint32_t flags;
};
constexpr std::uint32_t segment_unmap = 1;
constexpr std::size_t id_bytes = 20;

std::uint64_t total_bytes(const Buffers& buffers) {
    std::uint64_t total = 0;
    for (const auto& buffer : buffers) {
        total += buffer.size();
    }
    return total;
}

/// Takes the first `to.size()` bytes away; false when there are fewer.
bool take_front(Buffers& buffers, std::span<std::byte> to) {
    while (!to.empty() && !buffers.empty()) {
        std::span<std::byte>& from = buffers.front();
        const std::size_t count = std::min(from.size(), to.size());
        std::memcpy(to.data(), from.data(), count);
        from = from.subspan(count);
        to = to.subspan(count);
        if (from.empty()) {
            buffers.erase(buffers.begin());
        }
    }
    return to.empty();
}

template <typename T>
bool take_front(Buffers& buffers, T& to) {
    return take_front(buffers, std::as_writable_bytes(std::span(&to, 1)));
}

std::byte* take_last_byte(Buffers& buffers) {
    std::span<std::byte>& last = buffers.back();
    std::byte* byte = &last.back();
    last = last.first(last.size() - 1);
    if (last.empty()) {
        buffers.pop_back();
    }
    return byte;
}

bool within(const VirtioBlkLimits& limits, std::uint64_t sector, std::uint64_t bytes) {
    const std::uint64_t sectors = limits.size.value() / sector_bytes;
    return sector <= sectors && bytes / sector_bytes <= sectors - sector;
}

void answer_with(VirtioBlkRequest& request, std::uint8_t status) {
    request.answer = status;
}

void parse_data(VirtioBlkRequest& request, BlockRequest::Kind kind, const Header& header, Buffers buffers,
                const VirtioBlkLimits& limits) {
    const std::uint64_t bytes = total_bytes(buffers);
    const bool refused = kind == BlockRequest::Kind::write && limits.read_only;
    if (refused || bytes % sector_bytes != 0 || bytes > max_data_bytes || !within(limits, header.sector, bytes)) {
        return answer_with(request, status_io_error);
    }
    if (bytes == 0) {
        return answer_with(request, status_ok);
    }
    // One that fails may have filled a part of it.
    request.filled_bytes = kind == BlockRequest::Kind::read ? bytes : 0;
    request.work = BlockRequest{kind, DiskOffset(header.sector * sector_bytes), ByteCount(bytes), std::move(buffers)};
}

void parse_segment(VirtioBlkRequest& request, BlockRequest::Kind kind, Buffers buffers, const VirtioBlkLimits& limits) {
    Segment segment{};
    // The configuration space says that there is one segment.
    if (limits.read_only || !take_front(buffers, segment) || !buffers.empty()) {
        return answer_with(request, status_io_error);
    }
    // What is zeroed is always left without room where the disk can do that, so the flag changes nothing.
    const std::uint32_t known_flags = kind == BlockRequest::Kind::write_zeroes ? segment_unmap : 0;
    if ((segment.flags & ~known_flags) != 0) {
        return answer_with(request, status_unsupported);
    }
    const std::uint64_t bytes = segment.sectors * sector_bytes;
    if (segment.sectors > max_sectors_without_data || !within(limits, segment.sector, bytes)) {
        return answer_with(request, status_io_error);
    }
    if (bytes == 0) {
        return answer_with(request, status_ok);
    }
    request.work = BlockRequest{kind, DiskOffset(segment.sector * sector_bytes), ByteCount(bytes), {}};
}

void tell_serial(VirtioBlkRequest& request, const Buffers& buffers, std::string_view serial) {
    char id[id_bytes] = {};
    std::memcpy(id, serial.data(), std::min(serial.size(), sizeof id));
    std::span<const char> left(id);
    for (const auto& buffer : buffers) {
        const std::size_t count = std::min(buffer.size(), left.size());
        std::memcpy(buffer.data(), left.data(), count);
        left = left.subspan(count);
        request.filled_bytes += count;
    }
    answer_with(request, status_ok);
}

}  // namespace

Result<VirtioBlkRequest> parse_virtio_blk_request(const DescriptorChain& chain, const VirtioBlkLimits& limits) {
    Buffers readable = chain.readable;
    Buffers writable = chain.writable;
    Header header{};
    if (writable.empty() || !take_front(readable, header)) {
        return fail(ErrorCode::device_state,
                    "the guest's driver has sent a request without room for its header or its status");
    }
    if (const std::uint64_t bytes = total_bytes(chain.readable) + total_bytes(chain.writable);
        bytes > max_chain_bytes) {
        return fail(ErrorCode::device_state, fmt::format("the guest's driver has sent a request of {} bytes", bytes));
    }
    VirtioBlkRequest request;
    request.writable_bytes = static_cast<std::uint32_t>(total_bytes(writable));
    request.status = take_last_byte(writable);
    switch (header.type) {
        case type_in:
            parse_data(request, BlockRequest::Kind::read, header, std::move(writable), limits);
            break;
        case type_out:
            parse_data(request, BlockRequest::Kind::write, header, std::move(readable), limits);
            break;
        case type_flush:
            request.work = BlockRequest{BlockRequest::Kind::flush, {}, {}, {}};
            break;
        case type_get_id:
            tell_serial(request, writable, limits.serial);
            break;
        case type_discard:
            parse_segment(request, BlockRequest::Kind::discard, std::move(readable), limits);
            break;
        case type_write_zeroes:
            parse_segment(request, BlockRequest::Kind::write_zeroes, std::move(readable), limits);
            break;
        default:
            answer_with(request, status_unsupported);
            break;
    }
    return request;
}

}  // namespace godwit
