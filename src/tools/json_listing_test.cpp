#include "tools/json_listing.h"

#include <gtest/gtest.h>

#include "monitor/json.h"
#include "tools/stream_inspector.h"
#include "tools/stream_maker_testing.h"

namespace godwit {
namespace {

using testing::SavedStreamMaker;

struct Listed {
    Status status;
    Json document;
};

/// The text must be one document whatever the stream is.
Listed list(std::vector<std::byte> bytes) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    std::string text;
    JsonListing listing([&](std::string_view piece) { text += piece; });
    StreamInspector inspector(channel, clock, listing);
    Listed listed;
    listed.status = inspector.inspect();
    listing.finish(listed.status, {"a file"});
    listed.document = Json::parse(text, nullptr, false);
    EXPECT_TRUE(listed.document.is_object()) << text;
    return listed;
}

Json fields_of(const std::vector<std::uint8_t>& state, const std::string& described) {
    const Listed listed = list(SavedStreamMaker().device("dev", 0, state, described).end().bytes());
    EXPECT_TRUE(listed.status) << listed.status.error().message;
    return listed.status ? listed.document.at("sections").at(0).at("fields") : Json();
}

TEST(JsonListing, HasNumbersBooleansBuffersAndArrays) {
    const Json fields =
        fields_of({0xff, 0xfe, 0xff, 0xfe, 1, 2, 0xab, 0xcd, 0, 1, 0, 2, 7},
                  R"("fields":[{"name":"u","type":"uint16","size":2},{"name":"i","type":"int16 equal","size":2},)"
                  R"({"name":"yes","type":"bool","size":1},{"name":"odd","type":"bool","size":1},)"
                  R"({"name":"raw","type":"buffer","size":2},{"name":"list","type":"uint16","size":2,"array_len":2},)"
                  R"({"name":"wide","type":"uint32","size":1}])");
    EXPECT_EQ(fields, Json::parse(R"({"u":65534,"i":-2,"yes":true,"odd":2,"raw":"abcd","list":[1,2],"wide":"07"})"));
}

TEST(JsonListing, HasStructuresTheirArraysAndSubsections) {
    const std::string point = R"("struct":{"fields":[{"name":"x","type":"uint8","size":1}]})";
    const Json fields = fields_of(
        {1, 2, 3, 4, 5, 5, 'd', 'e', 'v', '/', 'x', 0, 0, 0, 7, 9},
        R"("fields":[{"name":"one","type":"struct","size":1,)" + point +
            R"(},{"name":"all","type":"struct","size":1,"array_len":2,)" + point +
            R"(},{"name":"some","index":3,"type":"uint8","size":1}],)" +
            R"("subsections":[{"vmsd_name":"dev/x","version":7,"fields":[{"name":"c","type":"uint8","size":1}]}])");
    EXPECT_EQ(fields, Json::parse(R"({"one":{"x":1},"all":[{"x":2},{"x":3}],"some[3]":4,)"
                                  R"("dev/x":{"version":7,"fields":{"c":9}}})"));
}

TEST(JsonListing, KeepsFieldsOfTheSameNameApart) {
    const std::string unused = R"({"name":"unused","type":"uint8","size":1})";
    const Json fields = fields_of({1, 2, 3}, R"("fields":[)" + unused + "," + unused + "," + unused + "]");
    EXPECT_EQ(fields, Json::parse(R"({"unused":1,"unused#2":2,"unused#3":3})"));
}

TEST(JsonListing, AStructureAmongTheFieldsOwnMembersIsOneIfItFits) {
    const auto described = [](int size) {
        return fmt::format(R"("fields":[{{"name":"t","type":"tmp","size":{},"fields":[)"
                           R"({{"name":"x","type":"uint8","size":1}}]}}])",
                           size);
    };
    EXPECT_EQ(fields_of({7}, described(1)), Json::parse(R"({"t":{"x":7}})"));
    EXPECT_EQ(fields_of({7, 8}, described(2)), Json::parse(R"({"t":"0708"})"));
}

TEST(JsonListing, HasSectionsBlocksPagesDisksAndCommands) {
    const Listed listed = list(SavedStreamMaker("pc")
                                   .command(1)
                                   .start_disks()
                                   .blocks({{"ram", 4}})
                                   .begin_disks()
                                   .chunk("vda", 0, 1)
                                   .chunk("vda", 3, 0)
                                   .end_disks()
                                   .begin_ram()
                                   .page("ram", 0, 1)
                                   .zero("ram", 1)
                                   .delta("ram", 0, 2)
                                   .end_ram()
                                   .end()
                                   .bytes());
    ASSERT_TRUE(listed.status) << listed.status.error().message;
    const Json& document = listed.document;
    EXPECT_EQ(document.at("configuration").at("machine"), "pc");
    std::vector<std::string> kinds;
    std::uint64_t end = document.at("configuration").at("offset").get<std::uint64_t>() +
                        document.at("configuration").at("bytes").get<std::uint64_t>();
    for (const Json& section : document.at("sections")) {
        kinds.push_back(section.at("kind").get<std::string>());
        EXPECT_GE(section.at("offset").get<std::uint64_t>(), end);
        end = section.at("offset").get<std::uint64_t>() + section.at("bytes").get<std::uint64_t>();
    }
    EXPECT_EQ(kinds, (std::vector<std::string>{"command", "start", "start", "end", "end", "eof", "description"}));
    EXPECT_EQ(document.at("sections").at(2).at("blocks"), Json::parse(R"([{"name":"ram","bytes":16384}])"));
    EXPECT_EQ(document.at("ram"),
              Json::parse(R"([{"name":"ram","bytes":16384,"pages":{"whole":1,"zero":1,"delta":1,"delta-bytes":14}}])"));
    EXPECT_EQ(document.at("disks"), Json::parse(R"([{"name":"vda","chunks":{"whole":1,"zero":1},"end":4194304}])"));
    EXPECT_EQ(document.at("files"), Json::parse(R"(["a file"])"));
    EXPECT_FALSE(document.contains("error"));
}

TEST(JsonListing, IsADocumentWhereverTheStreamIsBroken) {
    const std::vector<std::byte> whole =
        SavedStreamMaker()
            .blocks({{"ram", 2}})
            .begin_ram()
            .zero("ram", 0)
            .end_ram()
            .device("dev", 0, {1, 2, 3},
                    R"("fields":[{"name":"s","type":"struct","size":3,"struct":{"fields":[)"
                    R"({"name":"a","type":"uint8","size":1,"array_len":3}]}}])")
            .end()
            .bytes();
    ASSERT_TRUE(list(whole).status);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Listed listed = list({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
        if (!listed.status) {
            EXPECT_EQ(listed.document.at("error").at("message"), listed.status.error().message) << size;
        }
    }
}

TEST(JsonListing, WhatDoesNotFitTheDescriptionIsNamed) {
    struct Case {
        const char* described;
        const char* told;
    };
    const Case cases[] = {
        {R"("fields":[{"name":"s","type":"struct","size":3,"struct":{"fields":[{"name":"a","type":"uint8","size":1}]}}])",
         "section \"dev\" (0) does not fit its description: field \"s\": its members have 1 bytes, it has 3"},
        {R"("fields":[{"name":"s","type":"struct","size":1,"array_len":3,"struct":{"fields":[)"
         R"({"name":"a","type":"uint32","size":4}]}}])",
         "field \"s[0].a\": 1 times 4 bytes, where 3 are left"},
    };
    for (const Case& one : cases) {
        const Listed listed = list(SavedStreamMaker().device("dev", 0, {1, 2, 3}, one.described).end().bytes());
        ASSERT_FALSE(listed.status) << one.described;
        EXPECT_EQ(listed.status.error().code, ErrorCode::stream_corrupt);
        EXPECT_NE(listed.status.error().message.find(one.told), std::string::npos) << listed.status.error().message;
    }
    const Listed misplaced =
        list(SavedStreamMaker()
                 .device("dev", 0, {5, 5, 'd', 'e', 'v', '/', 'y', 0, 0, 0, 1},
                         R"("fields":[],"subsections":[{"vmsd_name":"dev/x","version":1,"fields":[]}])")
                 .end()
                 .bytes());
    ASSERT_FALSE(misplaced.status);
    EXPECT_NE(misplaced.status.error().message.find("field \"dev/x\": this subsection is not where"), std::string::npos)
        << misplaced.status.error().message;
}

TEST(JsonListing, ManyFieldsOfNoBytesAreRefusedSoon) {
    const Listed listed =
        list(SavedStreamMaker()
                 .device("dev", 0, {1},
                         R"("fields":[{"name":"s","type":"struct","size":0,"array_len":1000000,"struct":{"fields":[)"
                         R"({"name":"a","type":"buffer","size":0}]}},{"name":"b","type":"uint8","size":1}])")
                 .end()
                 .bytes());
    EXPECT_FALSE(listed.status);
}

TEST(JsonListing, ACommitMayFollowTheDescription) {
    const Listed listed = list(SavedStreamMaker()
                                   .device("dev", 0, {1}, R"("fields":[{"name":"a","type":"uint8","size":1}])")
                                   .end()
                                   .command(0x8001)
                                   .bytes());
    ASSERT_TRUE(listed.status) << listed.status.error().message;
    EXPECT_EQ(listed.document.at("sections").back().at("name"), "COMMIT");
}

}  // namespace
}  // namespace godwit
