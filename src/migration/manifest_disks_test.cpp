#include <gtest/gtest.h>

#include "migration/manifest.h"

namespace godwit {
namespace {

Manifest with_disks(std::vector<Manifest::Disk> disks) {
    Manifest manifest;
    manifest.version = "0.1.0";
    manifest.disks = std::move(disks);
    return manifest;
}

std::string complaint(const Manifest& source, const Manifest& destination) {
    const Status fits = check_moving_disks(source, destination);
    if (fits) {
        return "";
    }
    EXPECT_EQ(fits.error().code, ErrorCode::preflight_mismatch);
    EXPECT_FALSE(fits.error().hint.empty());
    return fits.error().message;
}

TEST(ManifestDisks, TravelAsJson) {
    const Result<Manifest> parsed =
        parse_manifest(to_json(with_disks({{"root", 1024, false, "0123"}, {"cd", 512, true}})));
    ASSERT_TRUE(parsed) << parsed.error().text();
    ASSERT_TRUE(parsed->disks);
    ASSERT_EQ(parsed->disks->size(), 2U);
    EXPECT_EQ(parsed->disks->at(0).name, "root");
    EXPECT_EQ(parsed->disks->at(0).bytes, 1024U);
    EXPECT_EQ(parsed->disks->at(0).image, "0123");
    EXPECT_TRUE(parsed->disks->at(1).read_only);
    EXPECT_EQ(parsed->disks->at(1).image, "");
}

TEST(ManifestDisks, AreOptional) {
    EXPECT_FALSE(parse_manifest(R"({"version": "0.1.0"})")->disks);
    EXPECT_TRUE(parse_manifest(R"({"disks": []})")->disks);
    EXPECT_FALSE(parse_manifest(R"({"disks": [{"id": "a"}]})")) << "a disk without a size";
    EXPECT_FALSE(parse_manifest(R"({"disks": [{"id": "a", "bytes": -1}]})"));
    EXPECT_FALSE(parse_manifest(R"({"disks": [{"id": 7, "bytes": 1}]})"));
}

TEST(ManifestDisks, FitIfEveryDiskThatMovesHasItsPlace) {
    const Manifest source = with_disks({{"root", 1024}, {"cd", 512, true}, {"empty", 0}});
    EXPECT_EQ(complaint(source, with_disks({{"more", 1}, {"root", 1024}})), "");
    EXPECT_EQ(complaint(source, with_disks({})), "the destination has no disk \"root\"");
    EXPECT_EQ(complaint(source, with_disks({{"root", 512}})),
              "disk \"root\" has 1024 bytes here and 512 bytes at the destination");
    EXPECT_EQ(complaint(source, with_disks({{"root", 1024, true}})), "disk \"root\" is read-only at the destination");
}

TEST(ManifestDisks, AnImageDoesNotMoveOntoItself) {
    const Manifest here = with_disks({{"root", 1024, false, "0123"}});
    EXPECT_EQ(complaint(here, here), "disk \"root\" is the same image at the destination as here");
    EXPECT_EQ(complaint(here, with_disks({{"root", 1024, false, "4567"}})), "");
    const Manifest unknown = with_disks({{"root", 1024}});
    EXPECT_EQ(complaint(unknown, unknown), "");
}

TEST(ManifestDisks, WhatCannotBeComparedIsRefused) {
    EXPECT_EQ(complaint(with_disks({{"root", 1024}}), Manifest()),
              "the destination does not say which disks it has: there are too many");
    std::vector<Manifest::Disk> many;
    for (int i = 0; i < 200; ++i) {
        many.push_back({"disk" + std::to_string(i), 1024});
    }
    EXPECT_FALSE(parse_manifest(to_json(with_disks(many)))->disks) << "the message would be too long";
}

}  // namespace
}  // namespace godwit
