#include "tools/disk_extractor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "block/record_testing.h"
#include "godwit/block_device.h"
#include "io/test_support.h"
#include "tools/stream_inspector.h"
#include "tools/text_listing.h"

namespace godwit {
namespace {

using test::TemporaryDirectory;
using testing::DiskRecords;

constexpr std::uint64_t chunk_bytes = DiskWriteTracker::chunk_bytes;

/// A stream that has these records between START and END, and no memory.
std::vector<std::byte> stream_of(DiskRecords& records) {
    const std::vector<std::byte> part = records.end().take();
    testing::ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    writer.put_u32(format::file_magic);
    writer.put_u32(format::file_version);
    writer.put_u8(1);
    writer.put_u32(format::block_section_id);
    writer.put_string8("block");
    writer.put_u32(0);
    writer.put_u32(format::block_version);
    writer.put_u64(format::disk_flag::eos);
    writer.put_u8(2);
    writer.put_u32(format::block_section_id);
    writer.put_bytes(part);
    writer.put_u8(3);
    writer.put_u32(format::block_section_id);
    writer.put_bytes(DiskRecords().progress(100).end().take());
    writer.put_u8(0);
    writer.flush();
    return channel.take();
}

struct Seen {
    Status status;
    std::string text;
};

Seen extract(std::vector<std::byte> bytes, const std::string& path, bool force = false) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    Seen seen;
    ExtractionDirectory directory(path, force);
    DiskExtractor extractor(directory);
    TextListing listing([&](const std::string& line) { seen.text += line + "\n"; });
    StreamInspector inspector(channel, clock, listing, StreamInspector::Takers{.disks = &extractor});
    seen.status = inspector.inspect();
    for (const std::string& file : extractor.files()) {
        seen.text += "extracted: " + file + "\n";
    }
    return seen;
}

std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

std::string chunk_of(char fill) {
    return std::string(chunk_bytes, fill);
}

struct stat status_of(const std::string& path) {
    struct stat status = {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status;
}

void expect_text(const Seen& seen, const std::string& part) {
    EXPECT_NE(seen.text.find(part), std::string::npos) << part << "\n" << seen.text;
}

TEST(DiskExtractor, FilesHoldWhatADestinationWouldHave) {
    const TemporaryDirectory base;
    const std::string directory = base / "vm";
    DiskRecords records;
    records.progress(0).chunk("vda", 2 * chunk_bytes, std::byte{'c'}).chunk("vda", 0, std::byte{'a'});
    records.chunk("../vdb", 0, std::byte{'x'}).chunk("vda", chunk_bytes, std::byte{'b'}).progress(66);
    records.zero("vda", 0).chunk("../vdb", 0, std::byte{'y'}).zero("../vdb", chunk_bytes);
    const Seen seen = extract(stream_of(records), directory);
    ASSERT_TRUE(seen.status) << seen.status.error().text();
    EXPECT_EQ(contents(directory + "/vda.disk"), chunk_of('\0') + chunk_of('b') + chunk_of('c'));
    EXPECT_EQ(contents(directory + "/%2E.%2Fvdb.disk"), chunk_of('y') + chunk_of('\0'));
    EXPECT_EQ(status_of(directory + "/vda.disk").st_mode & 0777U, 0600U) << "disks are not for everybody";
    expect_text(seen, "START \"block\" 0 whole chunks of 1048576 bytes, 0 zero chunks\n");
    expect_text(seen, "PART  \"block\" 5 whole chunks of 1048576 bytes, 2 zero chunks, progress 66 %\n");
    expect_text(seen, "END   \"block\" 0 whole chunks of 1048576 bytes, 0 zero chunks, progress 100 %\n");
    expect_text(seen, "disk \"vda\": 3 whole chunks of 1048576 bytes, 1 zero chunks, up to byte 3145728\n");
    expect_text(seen, "disk \"../vdb\": 2 whole chunks of 1048576 bytes, 1 zero chunks, up to byte 2097152\n");
    expect_text(seen, "extracted: " + directory + "/vda.disk\n");
}

TEST(DiskExtractor, ZerosTakeNoRoom) {
    const TemporaryDirectory directory;
    DiskRecords records;
    records.chunk("vda", 0, std::byte{1}).chunk("vda", 63 * chunk_bytes, std::byte{0});
    records.zero("vda", std::uint64_t{1} << 40).zero("vda", 0);
    const Seen seen = extract(stream_of(records), directory / "");
    ASSERT_TRUE(seen.status) << seen.status.error().text();
    const struct stat status = status_of(directory / "vda.disk");
    EXPECT_EQ(status.st_size, static_cast<off_t>((std::uint64_t{1} << 40) + chunk_bytes));
    EXPECT_LT(status.st_blocks * 512, 1 << 18);
}

TEST(DiskExtractor, AFileInTheWayIsKeptUnlessForced) {
    const TemporaryDirectory directory;
    const auto stream = [] {
        DiskRecords records;
        records.chunk("a", 0, std::byte{1}).chunk("b", 0, std::byte{'b'});
        return stream_of(records);
    };
    std::ofstream(directory / "b.disk") << "precious";
    const Seen refused = extract(stream(), directory / "");
    ASSERT_FALSE(refused.status);
    EXPECT_EQ(refused.status.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(refused.status.error().message.find("b.disk exists already"), std::string::npos)
        << refused.status.error().message;
    EXPECT_EQ(refused.status.error().message.find("broken"), std::string::npos) << "the stream is good";
    EXPECT_EQ(contents(directory / "b.disk"), "precious");
    EXPECT_EQ(directory.entries(), 1U) << "what was made for nothing is gone";
    ASSERT_TRUE(extract(stream(), directory / "", true).status);
    EXPECT_EQ(contents(directory / "b.disk"), chunk_of('b'));
}

TEST(DiskExtractor, AnOffsetThatNoFileReachesIsNoFaultOfTheStream) {
    const TemporaryDirectory directory;
    DiskRecords records;
    records.chunk("a", 0, std::byte{1});
    records.zero("a", DiskRecordDecoder::max_offset_bytes / sector_bytes * sector_bytes);
    const Seen seen = extract(stream_of(records), directory / "");
    if (!seen.status) {  // some file systems have files of that size
        EXPECT_EQ(seen.status.error().code, ErrorCode::io);
        EXPECT_NE(seen.status.error().message.find("cannot make "), std::string::npos) << seen.status.error().message;
    }
    EXPECT_EQ(contents(directory / "a.disk").substr(0, chunk_bytes), chunk_of('\1'));
}

TEST(DiskExtractor, ABrokenStreamLeavesWhatCameBefore) {
    const TemporaryDirectory directory;
    DiskRecords records;
    records.chunk("a", 0, std::byte{'a'}).head(0x100005).name("a");
    const Seen seen = extract(stream_of(records), directory / "");
    ASSERT_FALSE(seen.status);
    EXPECT_EQ(seen.status.error().code, ErrorCode::stream_corrupt);
    EXPECT_NE(seen.status.error().message.find("in PART of \"block\" at byte "), std::string::npos);
    EXPECT_NE(seen.status.error().message.find("record of disk \"a\" at offset 0x100000: unknown flags 0x5"),
              std::string::npos)
        << seen.status.error().message;
    EXPECT_EQ(contents(directory / "a.disk"), chunk_of('a'));
}

TEST(DiskExtractor, TooManyDisksAreRefused) {
    const TemporaryDirectory directory;
    DiskRecords records;
    for (std::size_t i = 0; i <= DiskExtractor::max_disks; ++i) {
        records.zero("disk" + std::to_string(i), 0);
    }
    const std::vector<std::byte> stream = stream_of(records);
    const Seen seen = extract(stream, directory / "");
    ASSERT_FALSE(seen.status);
    EXPECT_NE(seen.status.error().message.find("more than 256 disks"), std::string::npos);

    testing::ManualClock clock;
    MemoryChannel channel(stream);
    StreamListener nobody;
    StreamInspector inspector(channel, clock, nobody);
    EXPECT_FALSE(inspector.inspect());
}

}  // namespace
}  // namespace godwit
