#include "tools/ram_extractor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "io/test_support.h"
#include "ram/xbzrle.h"
#include "stream/format.h"
#include "stream/testing.h"
#include "stream/writer.h"
#include "tools/stream_inspector.h"
#include "tools/text_listing.h"

namespace godwit {
namespace {

using test::TemporaryDirectory;
using Page = std::array<std::byte, page_bytes>;

constexpr std::uint32_t ram_id = 2;

/// Builds a stream with memory and no device, record by record.
class RamStream {
public:
    RamStream() {
        writer_.put_u32(format::file_magic);
        writer_.put_u32(format::file_version);
    }
    RamStream& list(const std::vector<std::pair<std::string, std::uint64_t>>& blocks) {
        std::uint64_t total = 0;
        for (const auto& [id, size] : blocks) {
            total += size;
        }
        writer_.put_u8(1);
        writer_.put_u32(ram_id);
        writer_.put_string8("ram");
        writer_.put_u32(0);
        writer_.put_u32(4);
        writer_.put_u64(total | 4);
        for (const auto& [id, size] : blocks) {
            writer_.put_string8(id);
            writer_.put_u64(size);
        }
        writer_.put_u64(0x10);
        return *this;
    }
    RamStream& begin_pass() {
        writer_.put_u8(2);
        writer_.put_u32(ram_id);
        return *this;
    }
    RamStream& end_pass() {
        writer_.put_u64(0x10);
        return *this;
    }
    RamStream& page(const std::string& block, std::uint64_t number, const Page& bytes) {
        writer_.put_u64(number * page_bytes | 8);
        writer_.put_string8(block);
        writer_.put_bytes(bytes);
        return *this;
    }
    RamStream& zero(const std::string& block, std::uint64_t number) {
        writer_.put_u64(number * page_bytes | 2);
        writer_.put_string8(block);
        writer_.put_u8(0);
        return *this;
    }
    RamStream& delta(const std::string& block, std::uint64_t number, const Page& before, const Page& after) {
        Page encoded;
        const std::size_t size = encode_xbzrle(before.data(), after.data(), encoded).value();
        writer_.put_u64(number * page_bytes | 0x40);
        writer_.put_string8(block);
        writer_.put_u8(1);
        writer_.put_u16(static_cast<std::uint16_t>(size));
        writer_.put_bytes({encoded.data(), size});
        return *this;
    }
    std::vector<std::byte> end() {
        writer_.put_u8(0);
        writer_.flush();
        return channel_.take();
    }

private:
    testing::ManualClock clock_;
    MemoryChannel channel_;
    StreamWriter writer_{channel_, clock_};
};

Page page_of(int seed) {
    Page page;
    for (std::size_t i = 0; i < page.size(); ++i) {
        page[i] = static_cast<std::byte>(i * 7 + static_cast<std::size_t>(seed));
    }
    return page;
}

struct Seen {
    Status status;
    std::string text;
};

Seen extract(std::vector<std::byte> bytes, const std::string& directory, bool force = false) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    Seen seen;
    ExtractionDirectory files(directory, force);
    RamExtractor extractor(files);
    TextListing listing([&](const std::string& line) { seen.text += line + "\n"; });
    StreamInspector inspector(channel, clock, listing, StreamInspector::Takers{.ram = &extractor});
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

std::string text_of(const Page& page) {
    return {reinterpret_cast<const char*>(page.data()), page.size()};
}

const std::string zeros(page_bytes, '\0');

TEST(RamExtractor, FilesHoldWhatADestinationWouldHave) {
    const TemporaryDirectory base;
    const std::string directory = base / "memory";
    const Page first = page_of(1);
    Page second = first;
    second[100] = std::byte{0xff};
    second[4000] = std::byte{0xfe};
    RamStream stream;
    stream.list({{"ram", 4 * page_bytes}, {"/rom@etc/acpi", page_bytes}});
    stream.begin_pass().page("ram", 0, first).page("ram", 1, first).zero("ram", 2).page("ram", 3, page_of(5));
    stream.page("/rom@etc/acpi", 0, page_of(6)).end_pass();
    stream.begin_pass().delta("ram", 1, first, second).zero("ram", 3).end_pass();
    const Seen seen = extract(stream.end(), directory);
    ASSERT_TRUE(seen.status) << seen.status.error().message;
    EXPECT_EQ(contents(directory + "/ram.ram"), text_of(first) + text_of(second) + zeros + zeros);
    EXPECT_EQ(contents(directory + "/%2From@etc%2Facpi.ram"), text_of(page_of(6)));
    EXPECT_NE(seen.text.find("RAM block \"ram\": 3 whole pages, 2 zero pages, 1 XBZRLE deltas of"), std::string::npos)
        << seen.text;
    EXPECT_NE(seen.text.find("extracted: " + directory + "/ram.ram"), std::string::npos) << seen.text;
    struct stat status = {};
    ASSERT_EQ(::stat((directory + "/ram.ram").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U) << "memory is not for everybody";
}

TEST(RamExtractor, AFileInTheWayIsKeptUnlessForced) {
    const TemporaryDirectory directory;
    const auto stream = [] {
        RamStream made;
        made.list({{"a", page_bytes}, {"b", page_bytes}}).begin_pass().page("b", 0, page_of(1)).end_pass();
        return made.end();
    };
    std::ofstream(directory / "b.ram") << "precious";
    const Seen refused = extract(stream(), directory / "");
    ASSERT_FALSE(refused.status);
    EXPECT_EQ(refused.status.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(refused.status.error().message.find("b.ram exists already"), std::string::npos)
        << refused.status.error().message;
    EXPECT_EQ(refused.status.error().message.find("broken"), std::string::npos) << "the stream is good";
    EXPECT_EQ(contents(directory / "b.ram"), "precious");
    EXPECT_EQ(directory.entries(), 1U) << "what was made for nothing is gone";
    const Seen forced = extract(stream(), directory / "", true);
    ASSERT_TRUE(forced.status) << forced.status.error().message;
    EXPECT_EQ(contents(directory / "b.ram"), text_of(page_of(1)));
}

TEST(RamExtractor, ALinkInTheWayIsNotFollowed) {
    const TemporaryDirectory directory;
    std::ofstream(directory / "precious") << "";
    std::filesystem::create_symlink("precious", directory / "a.ram");
    for (const bool force : {false, true}) {
        RamStream stream;
        stream.list({{"a", page_bytes}}).begin_pass().page("a", 0, page_of(1)).end_pass();
        EXPECT_EQ(extract(stream.end(), directory / "", force).status.has_value(), force);
        EXPECT_EQ(contents(directory / "precious"), "");
    }
    EXPECT_EQ(contents(directory / "a.ram"), text_of(page_of(1)));
}

TEST(RamExtractor, AClaimedSizeCostsNoSpaceAndHasALimit) {
    const TemporaryDirectory directory;
    RamStream large;
    constexpr std::uint64_t claimed = std::uint64_t{16} << 30;
    large.list({{"a", claimed}}).begin_pass().zero("a", 7).page("a", claimed / page_bytes - 1, page_of(1)).end_pass();
    const Seen seen = extract(large.end(), directory / "");
    ASSERT_TRUE(seen.status) << seen.status.error().message;
    struct stat status = {};
    ASSERT_EQ(::stat((directory / "a.ram").c_str(), &status), 0);
    EXPECT_EQ(status.st_size, static_cast<off_t>(claimed));
    EXPECT_LT(status.st_blocks * 512, 1 << 20);

    for (const std::uint64_t size : {RamExtractor::max_total_bytes, ~std::uint64_t{0} - 2 * page_bytes + 1}) {
        RamStream huge;
        huge.list({{"b", page_bytes}, {"c", size}});
        const Seen refused = extract(huge.end(), directory / "");
        ASSERT_FALSE(refused.status);
        EXPECT_EQ(refused.status.error().code, ErrorCode::unsupported);
        EXPECT_NE(refused.status.error().message.find("more memory than the 1099511627776 bytes"), std::string::npos)
            << refused.status.error().message;
    }
    EXPECT_EQ(directory.entries(), 1U);
}

TEST(RamExtractor, ABrokenStreamLeavesWhatCameBefore) {
    const TemporaryDirectory directory;
    Page changed = page_of(1);
    changed[7] = std::byte{0};
    RamStream stream;
    stream.list({{"a", 2 * page_bytes}}).begin_pass().page("a", 0, page_of(1));
    stream.delta("a", 1, page_of(1), changed).end_pass();
    const Seen seen = extract(stream.end(), directory / "");
    ASSERT_FALSE(seen.status);
    EXPECT_NE(seen.status.error().message.find("a delta to page 1 of RAM block \"a\", which was never sent"),
              std::string::npos)
        << seen.status.error().message;
    EXPECT_EQ(contents(directory / "a.ram"), text_of(page_of(1)) + zeros);
}

TEST(RamExtractor, WithoutAListNothingIsExtracted) {
    const TemporaryDirectory directory;
    RamStream stream;
    stream.list({}).begin_pass().page("a", 0, page_of(1)).end_pass();
    const Seen seen = extract(stream.end(), directory / "");
    ASSERT_FALSE(seen.status);
    EXPECT_NE(seen.status.error().message.find("does not list its RAM blocks"), std::string::npos)
        << seen.status.error().message;
    EXPECT_EQ(directory.entries(), 0U);
}

TEST(RamExtractor, ListsThatMakeNoSenseAreRefused) {
    const TemporaryDirectory directory;
    RamStream twice;
    twice.list({{"a", page_bytes}, {"a", page_bytes}});
    EXPECT_FALSE(extract(twice.end(), directory / "").status);
    RamStream odd;
    odd.list({{"a", page_bytes / 2}, {"b", page_bytes / 2}});
    EXPECT_FALSE(extract(odd.end(), directory / "").status);
    RamStream late;
    late.list({{"a", page_bytes}}).begin_pass().page("a", 0, page_of(1)).end_pass().list({{"b", page_bytes}});
    EXPECT_FALSE(extract(late.end(), directory / "late").status);
    EXPECT_EQ(directory.entries(), 1U);
}

}  // namespace
}  // namespace godwit
