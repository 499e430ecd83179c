#include "machine/virtio_blk_request.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "machine/virtio_ids.h"

namespace godwit {
namespace {

using namespace virtio::block;

constexpr std::uint64_t disk_sectors = 100;

class VirtioBlkRequestTest : public ::testing::Test {
protected:
    /// A request whose header and data come one after the other, cut into pieces as `cuts` say.
    VirtioBlkRequest parse(std::uint32_t type, std::uint64_t sector, std::vector<std::byte> out = {}) {
        readable_.assign(16 + out.size(), std::byte{0});
        std::memcpy(readable_.data(), &type, sizeof type);
        std::memcpy(readable_.data() + 8, &sector, sizeof sector);
        std::copy(out.begin(), out.end(), readable_.begin() + 16);
        writable_.assign(in_bytes + 1, std::byte{0xee});
        DescriptorChain chain;
        cut(readable_, chain.readable);
        cut(writable_, chain.writable);
        auto request = parse_virtio_blk_request(chain, limits);
        EXPECT_TRUE(request);
        EXPECT_EQ(request->status, &writable_.back());
        EXPECT_EQ(request->writable_bytes, writable_.size());
        return *request;
    }
    std::uint8_t answer_to(std::uint32_t type, std::uint64_t sector, std::vector<std::byte> out = {}) {
        const VirtioBlkRequest request = parse(type, sector, std::move(out));
        EXPECT_FALSE(request.work);
        return request.answer;
    }
    static std::vector<std::byte> segment(std::uint64_t sector, std::uint32_t sectors, std::uint32_t flags) {
        std::vector<std::byte> bytes(16);
        std::memcpy(bytes.data(), &sector, 8);
        std::memcpy(bytes.data() + 8, &sectors, 4);
        std::memcpy(bytes.data() + 12, &flags, 4);
        return bytes;
    }
    static std::uint64_t bytes_of(const BlockRequest& request) {
        return std::accumulate(request.buffers.begin(), request.buffers.end(), std::uint64_t{0},
                               [](std::uint64_t sum, const auto& buffer) { return sum + buffer.size(); });
    }

    VirtioBlkLimits limits{ByteCount(disk_sectors * sector_bytes), false, "a-disk"};
    std::size_t in_bytes = 0;
    /// Size of the pieces.
    std::size_t piece = 4096;

private:
    void cut(std::vector<std::byte>& bytes, std::vector<std::span<std::byte>>& to) const {
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            to.push_back(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
        }
    }
    std::vector<std::byte> readable_;
    std::vector<std::byte> writable_;
};

TEST_F(VirtioBlkRequestTest, reads_and_writes_may_be_cut_anywhere) {
    for (const std::size_t size : {1U, 7U, 16U, 100U, 511U, 4096U}) {
        piece = size;
        in_bytes = 1024;
        const VirtioBlkRequest read = parse(type_in, 98);
        ASSERT_TRUE(read.work);
        EXPECT_EQ(read.work->kind, BlockRequest::Kind::read);
        EXPECT_EQ(read.work->offset, DiskOffset(98 * sector_bytes));
        EXPECT_EQ(bytes_of(*read.work), 1024U);
        in_bytes = 0;
        const VirtioBlkRequest write = parse(type_out, 1, std::vector<std::byte>(512, std::byte{7}));
        ASSERT_TRUE(write.work);
        EXPECT_EQ(write.work->kind, BlockRequest::Kind::write);
        EXPECT_EQ(bytes_of(*write.work), 512U);
        EXPECT_EQ(write.work->buffers.front().front(), std::byte{7}) << "the header is not data";
    }
}

TEST_F(VirtioBlkRequestTest, data_outside_of_the_disk_is_an_error) {
    in_bytes = 512;
    EXPECT_TRUE(parse(type_in, disk_sectors - 1).work);
    EXPECT_EQ(answer_to(type_in, disk_sectors), status_io_error);
    EXPECT_EQ(answer_to(type_in, ~0ULL), status_io_error);
    EXPECT_EQ(answer_to(type_in, ~0ULL / 512 + 1), status_io_error) << "the byte offset would overflow";
    in_bytes = 1024;
    EXPECT_EQ(answer_to(type_in, disk_sectors - 1), status_io_error);
}

TEST_F(VirtioBlkRequestTest, data_that_is_no_multiple_of_a_sector_is_an_error) {
    in_bytes = 511;
    EXPECT_EQ(answer_to(type_in, 0), status_io_error);
    in_bytes = 0;
    EXPECT_EQ(answer_to(type_out, 0, std::vector<std::byte>(513)), status_io_error);
}

TEST_F(VirtioBlkRequestTest, no_data_is_done_at_once) {
    EXPECT_EQ(answer_to(type_in, 0), status_ok);
    EXPECT_EQ(answer_to(type_out, disk_sectors), status_ok);
    EXPECT_EQ(answer_to(type_write_zeroes, 0, segment(5, 0, 0)), status_ok);
}

TEST_F(VirtioBlkRequestTest, a_read_only_disk_is_not_changed) {
    limits.read_only = true;
    EXPECT_EQ(answer_to(type_out, 0, std::vector<std::byte>(512)), status_io_error);
    EXPECT_EQ(answer_to(type_discard, 0, segment(0, 1, 0)), status_io_error);
    EXPECT_EQ(answer_to(type_write_zeroes, 0, segment(0, 1, 0)), status_io_error);
    in_bytes = 512;
    EXPECT_TRUE(parse(type_in, 0).work);
    EXPECT_TRUE(parse(type_flush, 0).work);
}

TEST_F(VirtioBlkRequestTest, discard_and_write_zeroes_take_one_segment) {
    const VirtioBlkRequest discard = parse(type_discard, 0, segment(3, 5, 0));
    ASSERT_TRUE(discard.work);
    EXPECT_EQ(discard.work->kind, BlockRequest::Kind::discard);
    EXPECT_EQ(discard.work->offset, DiskOffset(3 * sector_bytes));
    EXPECT_EQ(discard.work->count, ByteCount(5 * sector_bytes));
    for (const std::uint32_t flags : {0U, 1U}) {
        const VirtioBlkRequest zeroes = parse(type_write_zeroes, 0, segment(0, disk_sectors, flags));
        ASSERT_TRUE(zeroes.work);
        EXPECT_EQ(zeroes.work->kind, BlockRequest::Kind::write_zeroes);
    }
    EXPECT_EQ(answer_to(type_discard, 0, segment(3, 5, 1)), status_unsupported) << "a flag of write-zeroes";
    EXPECT_EQ(answer_to(type_write_zeroes, 0, segment(3, 5, 2)), status_unsupported);
    EXPECT_EQ(answer_to(type_discard, 0, segment(disk_sectors, 1, 0)), status_io_error);
    EXPECT_EQ(answer_to(type_discard, 0, segment(~0ULL, 1, 0)), status_io_error);
    EXPECT_EQ(answer_to(type_write_zeroes, 0, segment(0, 0xffffffff, 0)), status_io_error);
    EXPECT_EQ(answer_to(type_discard, 0, std::vector<std::byte>(15)), status_io_error);
    EXPECT_EQ(answer_to(type_discard, 0, std::vector<std::byte>(32)), status_io_error) << "two segments";
}

TEST_F(VirtioBlkRequestTest, the_serial_number_fills_up_to_20_bytes) {
    DescriptorChain chain;
    std::vector<std::byte> header(16);
    header[0] = std::byte{type_get_id};
    std::vector<std::byte> answer(21, std::byte{0xee});
    chain.readable.push_back(header);
    chain.writable.push_back(std::span(answer).first(3));
    chain.writable.push_back(std::span(answer).subspan(3));
    const auto request = parse_virtio_blk_request(chain, limits);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->answer, status_ok);
    EXPECT_EQ(std::memcmp(answer.data(), "a-disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20), 0);
    EXPECT_EQ(answer.back(), std::byte{0xee}) << "the status belongs to whoever completes the request";
}

TEST_F(VirtioBlkRequestTest, unknown_types_are_unsupported) {
    for (const std::uint32_t type : {2U, 3U, 5U, 9U, 16U, 0x80000000U, 0xffffffffU}) {
        EXPECT_EQ(answer_to(type, 0), status_unsupported) << type;
    }
}

TEST_F(VirtioBlkRequestTest, a_chain_without_header_or_status_cannot_be_answered) {
    std::vector<std::byte> bytes(16);
    DescriptorChain no_status{0, {bytes}, {}};
    EXPECT_FALSE(parse_virtio_blk_request(no_status, limits));
    DescriptorChain no_header{0, {}, {bytes}};
    EXPECT_FALSE(parse_virtio_blk_request(no_header, limits));
    DescriptorChain short_header{0, {std::span(bytes).first(15)}, {bytes}};
    EXPECT_FALSE(parse_virtio_blk_request(short_header, limits));
}

TEST_F(VirtioBlkRequestTest, says_how_much_it_fills_besides_the_status) {
    in_bytes = 1024;
    piece = 100;
    EXPECT_EQ(parse(type_in, 0).filled_bytes, 1024U);
    EXPECT_EQ(parse(type_in, disk_sectors).filled_bytes, 0U) << "refused";
    EXPECT_EQ(parse(type_get_id, 0).filled_bytes, 20U);
    EXPECT_EQ(parse(99, 0).filled_bytes, 0U);
    in_bytes = 7;
    EXPECT_EQ(parse(type_get_id, 0).filled_bytes, 7U);
    in_bytes = 0;
    EXPECT_EQ(parse(type_out, 0, std::vector<std::byte>(512)).filled_bytes, 0U);
}

TEST_F(VirtioBlkRequestTest, a_chain_longer_than_any_request_is_an_error) {
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    DescriptorChain chain;
    chain.readable.emplace_back(buffer.data(), 16);
    chain.writable.assign(1024, buffer);
    EXPECT_TRUE(parse_virtio_blk_request(chain, limits)) << "too long for a request, but it is answered";
    chain.writable.emplace_back(buffer);
    const auto request = parse_virtio_blk_request(chain, limits);
    ASSERT_FALSE(request);
    EXPECT_EQ(request.error().code, ErrorCode::device_state);
}

}  // namespace
}  // namespace godwit
