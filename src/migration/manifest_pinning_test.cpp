#include <gtest/gtest.h>

#include "migration/manifest.h"

namespace godwit {
namespace {

Manifest with_ram(std::uint64_t bytes) {
    Manifest manifest;
    manifest.version = "0.1.0";
    manifest.ram = {{"low", bytes / 2, false}, {"high", bytes - bytes / 2, false}};
    return manifest;
}

TEST(ManifestPinning, TheLimitTravelsAsJson) {
    Manifest manifest = with_ram(8192);
    EXPECT_FALSE(parse_manifest(to_json(manifest))->pin_limit_bytes) << "as many as there are";
    manifest.pin_limit_bytes = 0;
    EXPECT_EQ(parse_manifest(to_json(manifest))->pin_limit_bytes, 0U);
    manifest.pin_limit_bytes = std::uint64_t{1} << 40;
    EXPECT_EQ(parse_manifest(to_json(manifest))->pin_limit_bytes, std::uint64_t{1} << 40);
    EXPECT_FALSE(parse_manifest(R"({"pin-limit": -1})"));
    EXPECT_FALSE(parse_manifest(R"({"pin-limit": "all"})"));
}

TEST(ManifestPinning, AllMemoryHasToFit) {
    const Manifest source = with_ram(8192);
    Manifest destination = with_ram(8192);
    EXPECT_TRUE(check_pinning(source, destination));
    destination.pin_limit_bytes = 8192;
    EXPECT_TRUE(check_pinning(source, destination));
    destination.pin_limit_bytes = 8191;
    const Status fits = check_pinning(source, destination);
    ASSERT_FALSE(fits);
    EXPECT_EQ(fits.error().code, ErrorCode::cannot_pin);
    EXPECT_EQ(fits.error().message,
              "rdma-pin-all needs 8192 bytes of locked memory at the destination, which may lock 8191");
    EXPECT_NE(fits.error().hint.find("rdma-pin-all off"), std::string::npos);
}

}  // namespace
}  // namespace godwit
