#include "tools/stream_inspector.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "stream/format.h"
#include "stream/testing.h"
#include "stream/writer.h"
#include "tools/stream_maker_testing.h"
#include "tools/text_listing.h"

namespace godwit {
namespace {

constexpr const char* description =
    R"({"page_size":4096,"devices":[{"name":"dev","instance_id":3,"vmsd_name":"dev","version":1,)"
    R"("fields":[{"name":"a","type":"uint32","size":4},{"name":"b","type":"uint8","array_len":3,"size":1}],)"
    R"("subsections":[{"vmsd_name":"dev/x","version":1,"fields":[{"name":"c","type":"uint8","size":1}]}]}]})";

void footer(StreamWriter& writer, std::uint32_t id) {
    writer.put_u8(0x7e);
    writer.put_u32(id);
}

std::vector<std::byte> stream_described_by(std::string_view text) {
    testing::ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    writer.put_u32(format::file_magic);
    writer.put_u32(3);
    writer.put_u8(7);
    writer.put_u32(4);
    writer.put_text("none");
    writer.put_u8(1);
    writer.put_u32(2);
    writer.put_string8("ram");
    writer.put_u32(0);
    writer.put_u32(4);
    writer.put_u64(2 * page_bytes | 4);
    writer.put_string8("ram");
    writer.put_u64(2 * page_bytes);
    writer.put_u64(0x10);
    footer(writer, 2);
    writer.put_u8(3);
    writer.put_u32(2);
    writer.put_u64(0 | 0x08);
    writer.put_string8("ram");
    writer.put_zeros(page_bytes);
    writer.put_u64(page_bytes | 0x22);
    writer.put_u8(0);
    writer.put_u64(0x10);
    footer(writer, 2);
    writer.put_u8(4);
    writer.put_u32(4);
    writer.put_string8("dev");
    writer.put_u32(3);
    writer.put_u32(1);
    writer.put_zeros(7);
    writer.put_u8(5);
    writer.put_string8("dev/x");
    writer.put_u32(1);
    writer.put_u8(9);
    footer(writer, 4);
    writer.put_u8(0);
    if (!text.empty()) {
        writer.put_u8(6);
        writer.put_u32(static_cast<std::uint32_t>(text.size()));
        writer.put_text(text);
    }
    writer.flush();
    return channel.take();
}

std::vector<std::byte> sample_stream(bool with_description) {
    return stream_described_by(with_description ? description : "");
}

struct Seen {
    Status status;
    std::string text;
};

Seen inspect(std::vector<std::byte> bytes, TextListing::Detail detail = {}) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    Seen seen;
    TextListing listing([&](const std::string& line) { seen.text += line + "\n"; }, detail);
    StreamInspector inspector(channel, clock, listing);
    seen.status = inspector.inspect();
    return seen;
}

TEST(StreamInspector, ListsSectionsBlocksPagesAndDevices) {
    const Seen seen = inspect(sample_stream(true));
    ASSERT_TRUE(seen.status) << seen.status.error().message;
    for (const char* part :
         {"machine \"none\"", "block \"ram\": 8192 bytes", "END   \"ram\" 1 whole pages, 1 zero pages",
          "FULL  \"dev\" instance 3 version 1, 19 bytes of state", "EOF", "DESCRIPTION"}) {
        EXPECT_NE(seen.text.find(part), std::string::npos) << part << "\n" << seen.text;
    }
}

TEST(StreamInspector, WithoutDescriptionDevicesStayOnePiece) {
    const Seen seen = inspect(sample_stream(false));
    ASSERT_TRUE(seen.status);
    EXPECT_NE(seen.text.find("cannot be told apart"), std::string::npos);
}

TEST(StreamInspector, EveryTruncationOfTheMemoryPartIsTold) {
    const std::vector<std::byte> whole = sample_stream(true);
    for (std::size_t size = 0; size < 4300; size += size < 200 ? 1 : 97) {
        const Seen seen = inspect({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
        ASSERT_FALSE(seen.status) << size;
        EXPECT_NE(seen.status.error().message.find("broken near byte"), std::string::npos);
    }
}

/// The sample's description with another size of the field "a".
std::string description_with_size(std::string_view size) {
    std::string text = description;
    const std::string_view original = "\"size\":4";
    return text.replace(text.find(original), original.size(), fmt::format("\"size\":{}", size));
}

TEST(StreamInspector, PagesThatWentPastTheStreamCannotBeShown) {
    std::vector<std::byte> stream = stream_described_by(description);
    const std::vector<std::byte> whole = stream;
    // The head of the first page's record, which follows the first PART's own head.
    const std::byte page[] = {std::byte{3}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{2}};
    const auto part = std::search(stream.begin(), stream.end(), std::begin(page), std::end(page));
    ASSERT_NE(part, stream.end());
    const auto head = part + std::size(page);
    *(head + 7) = std::byte{format::ram_flag::direct};
    stream.erase(head + 8, stream.end());  // after it comes nothing, as in a stream that is kept while it is sent
    const Seen seen = inspect(stream);
    ASSERT_FALSE(seen.status);
    EXPECT_EQ(seen.status.error().code, ErrorCode::stream_corrupt);
    EXPECT_NE(seen.status.error().message.find("pages that come another way"), std::string::npos)
        << seen.status.error().message;
    ASSERT_TRUE(inspect(whole).status);
}

TEST(StreamInspector, AWrongDescriptionNamesTheByte) {
    const Seen seen = inspect(stream_described_by(description_with_size("8")));
    ASSERT_FALSE(seen.status);
    EXPECT_EQ(seen.status.error().code, ErrorCode::stream_corrupt);
    EXPECT_NE(seen.status.error().message.find("\"dev\" does not end where the description says"), std::string::npos);
}

TEST(StreamInspector, TheSizeOfAStructureHasItsSubsections) {
    // The device of the sample, with everything in a structure: 7 bytes and a subsection of 12, as of QEMU's "pckbd".
    const Seen seen = inspect(stream_described_by(
        R"({"page_size":4096,"devices":[{"name":"dev","instance_id":3,"vmsd_name":"dev","version":1,)"
        R"("fields":[{"name":"s","type":"struct","size":19,"struct":{"vmsd_name":"dev","version":1,)"
        R"("fields":[{"name":"a","type":"buffer","size":7}],)"
        R"("subsections":[{"vmsd_name":"dev/x","version":1,"fields":[{"name":"c","type":"uint8","size":1}]}]}}]}]})"));
    ASSERT_TRUE(seen.status) << seen.status.error().message;
    EXPECT_NE(seen.text.find("FULL  \"dev\" instance 3 version 1, 19 bytes of state"), std::string::npos) << seen.text;
}

/// A device's description with these fields, of a state of 19 bytes.
std::string description_with_fields(std::string_view fields) {
    return fmt::format(R"({{"page_size":4096,"devices":[{{"name":"dev","instance_id":3,"version":1,"fields":[{}]}}]}})",
                       fields);
}

/// What an inspection says that lists the fields, too.
std::string refusal_of_fields(std::string_view fields) {
    const Seen seen = inspect(stream_described_by(description_with_fields(fields)), {.fields = true});
    return seen.status ? "" : seen.status.error().message;
}

TEST(StreamInspector, NamesOfFieldsAndTheirPathsHaveALimit) {
    const auto field = [](std::size_t chars, std::string_view rest) {
        return fmt::format(R"({{"name":"{}","type":"x",{}}})", std::string(chars, 'n'), rest);
    };
    EXPECT_EQ(refusal_of_fields(field(255, R"("size":19)")), "");
    EXPECT_NE(refusal_of_fields(field(256, R"("size":19)")).find("more than 255 characters"), std::string::npos);
    std::string nested = field(250, R"("size":19)");
    for (int depth = 0; depth < 3; ++depth) {
        nested = field(250, fmt::format(R"("size":19,"struct":{{"fields":[{}]}})", nested));
    }
    EXPECT_EQ(refusal_of_fields(nested), "");
    nested = field(250, fmt::format(R"("size":19,"struct":{{"fields":[{}]}})", nested));
    EXPECT_NE(refusal_of_fields(nested).find("1024 with those around it"), std::string::npos);
    // Each of a section's elements has a long path.
    std::string many = field(250, R"("size":0)");
    for (int depth = 0; depth < 2; ++depth) {
        many = field(250, fmt::format(R"("size":0,"struct":{{"fields":[{}]}})", many));
    }
    many = field(250, fmt::format(R"("size":0,"array_len":16000,"struct":{{"fields":[{}]}})", many));
    EXPECT_NE(refusal_of_fields(many + R"(,{"name":"a","type":"x","size":19})").find("characters together"),
              std::string::npos)
        << refusal_of_fields(many + R"(,{"name":"a","type":"x","size":19})");
}

TEST(StreamInspector, ElementsOfNoBytesAreCounted) {
    const std::string rest = R"(,{"name":"b","type":"x","size":19})";
    EXPECT_EQ(refusal_of_fields(R"({"name":"a","type":"x","size":0,"array_len":60000})" + rest), "");
    EXPECT_NE(refusal_of_fields(R"({"name":"a","type":"x","size":0,"array_len":70000})" + rest)
                  .find("more fields and elements"),
              std::string::npos);
}

TEST(StreamInspector, LookingForASizeHasALimit) {
    // For each of the elements all of a subsection's fields would be looked at.
    std::string members;
    for (int index = 0; index < 1000; ++index) {
        members += R"({"name":"m","type":"x","size":0},)";
    }
    members.pop_back();
    const std::string inner = fmt::format(
        R"({{"name":"i","type":"x","size":0,"fields":[],"subsections":[{{"vmsd_name":"s","version":1,"fields":[{}]}}]}})",
        members);
    const std::string outer =
        fmt::format(R"({{"name":"o","type":"x","size":0,"array_len":10000,"struct":{{"fields":[{}]}}}})", inner);
    EXPECT_NE(refusal_of_fields(outer + R"(,{"name":"b","type":"x","size":19})").find("more fields and elements"),
              std::string::npos);
}

TEST(StreamInspector, ADescriptionHasALimit) {
    const std::string fields = R"({"name":"a","type":"x","size":19})";
    const std::string text = description_with_fields(fields);
    const Seen good = inspect(stream_described_by(text + std::string((16 << 20) - text.size(), ' ')));
    EXPECT_TRUE(good.status) << good.status.error().message;
    const Seen seen = inspect(stream_described_by(text + std::string((16 << 20) + 1 - text.size(), ' ')));
    EXPECT_EQ(seen.text.find("DESCRIPTION"), std::string::npos);
}

TEST(StreamInspector, NothingFollowsTheCommandAtTheEnd) {
    const auto commit = static_cast<std::uint16_t>(format::Command::commit);
    const auto maker = [] { return std::make_unique<testing::SavedStreamMaker>(); };
    EXPECT_TRUE(inspect(maker()->end().command(commit).bytes()).status);
    const Seen seen = inspect(maker()->end().command(commit).command(commit).bytes());
    ASSERT_FALSE(seen.status);
    EXPECT_NE(seen.status.error().message.find("goes on after its end"), std::string::npos);
}

TEST(StreamInspector, ADescriptionOfSizesThatCannotBeIsRefused) {
    // Those near 2^64 would lead backwards, to the bytes that come before.
    for (const char* size :
         {"60", "4294967295", "9223372036854775807", "18446744073709551615", "18446744073709551590", "-26", "1e300",
          R"(4,"array_len":18446744073709551615)", R"(1099511627776,"array_len":1048576)"}) {
        const Seen seen = inspect(stream_described_by(description_with_size(size)));
        ASSERT_FALSE(seen.status) << size;
        EXPECT_EQ(seen.status.error().code, ErrorCode::stream_corrupt) << size;
        EXPECT_NE(seen.status.error().message.find("reaches past the end"), std::string::npos)
            << size << ": " << seen.status.error().message;
    }
    EXPECT_FALSE(inspect(stream_described_by(description_with_size("\"4\""))).status);
}

}  // namespace
}  // namespace godwit
